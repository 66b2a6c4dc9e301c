/**
 * The head of a GGUF file, version 3 (ggml-org/ggml, docs/gguf.md). Everything is little-endian:
 *
 *     "GGUF"  u32 version  u64 tensors  u64 metadata entries
 *     metadata   per entry:  string key, u32 type, value
 *     tensors    per tensor: string name, u32 dimensions, u64 sizes (the fastest first), u32 type, u64 offset
 *     zeros up to a multiple of the alignment; offsets count from there; each tensor begins at a multiple of it
 *
 * A string is a u64 of bytes and UTF-8; an array is a u32 of its elements' type, a u64 of elements, and the elements.
 */

/** Bytes that tensors are aligned to: the format's default, written as `general.alignment`. */
export const ggufAlignment = 32;

const version = 3;

/** ggml's numbers for element types. */
export const ggmlTypes = { F32: 0, F16: 1, Q8_0: 8, BF16: 30 } as const;

/** An element type that this module writes. */
export type GgmlType = keyof typeof ggmlTypes;

/** Blocks of each element type: elements of a row that are stored together, and their bytes. */
export const ggmlBlocks: Readonly<Record<GgmlType, { readonly elements: number; readonly bytes: number }>> = {
  F32: { elements: 1, bytes: 4 },
  F16: { elements: 1, bytes: 2 },
  BF16: { elements: 1, bytes: 2 },
  Q8_0: { elements: 32, bytes: 2 + 32 },
};

const valueTypes = { u32: 4, i32: 5, f32: 6, bool: 7, string: 8, array: 9 } as const;

/** A metadata value with its type in the file. */
export type GgufValue =
  | { readonly type: "u32" | "f32"; readonly value: number }
  | { readonly type: "bool"; readonly value: boolean }
  | { readonly type: "string"; readonly value: string }
  | { readonly type: "array"; readonly of: "i32" | "f32"; readonly value: readonly number[] }
  | { readonly type: "array"; readonly of: "string"; readonly value: readonly string[] };

/** Metadata by key, in the order of the file. */
export type GgufMetadata = Readonly<Record<string, GgufValue>>;

export const u32 = (value: number): GgufValue => ({ type: "u32", value });
export const f32 = (value: number): GgufValue => ({ type: "f32", value });
export const bool = (value: boolean): GgufValue => ({ type: "bool", value });
export const text = (value: string): GgufValue => ({ type: "string", value });
export const integers = (value: readonly number[]): GgufValue => ({ type: "array", of: "i32", value });
export const floats = (value: readonly number[]): GgufValue => ({ type: "array", of: "f32", value });
export const texts = (value: readonly string[]): GgufValue => ({ type: "array", of: "string", value });

/** A tensor's entry in the head. */
export interface GgufTensorInfo {
  readonly name: string;
  readonly type: GgmlType;
  /** Row-major, the slowest dimension first, as in safetensors; the file has the reverse order. */
  readonly shape: readonly number[];
}

/** Bytes of a tensor's elements, without the padding after them. */
export function ggufTensorBytes({ type, shape }: GgufTensorInfo): number {
  const { elements, bytes } = ggmlBlocks[type];
  return (shape.reduce((product, size) => product * size, 1) / elements) * bytes;
}

/** `bytes` rounded up to the alignment. */
export function aligned(bytes: number): number {
  return Math.ceil(bytes / ggufAlignment) * ggufAlignment;
}

/** The head of a file whose tensors follow in this order, padded to the start of the first. */
export function encodeGgufHead(metadata: GgufMetadata, tensors: readonly GgufTensorInfo[]): Uint8Array {
  const entries = Object.entries(metadata);
  const parts = [Buffer.from("GGUF"), unsigned(version), long(tensors.length), long(entries.length)];
  for (const [key, value] of entries) parts.push(string(key), unsigned(valueTypes[value.type]), encodeValue(value));
  let offset = 0;
  for (const tensor of tensors) {
    const { name, type, shape } = tensor;
    parts.push(string(name), unsigned(shape.length), ...[...shape].reverse().map(long));
    parts.push(unsigned(ggmlTypes[type]), long(offset));
    offset += aligned(ggufTensorBytes(tensor));
  }
  const head = Buffer.concat(parts);
  return Buffer.concat([head], aligned(head.byteLength));
}

function encodeValue(value: GgufValue): Buffer {
  switch (value.type) {
    case "u32":
      return unsigned(value.value);
    case "f32":
      return Buffer.from(Float32Array.of(value.value).buffer);
    case "bool":
      return Buffer.of(Number(value.value));
    case "string":
      return string(value.value);
    case "array": {
      const elements = value.of === "string" ? value.value.map(string) : [numbers(value.of, value.value)];
      return Buffer.concat([unsigned(valueTypes[value.of]), long(value.value.length), ...elements]);
    }
  }
}

function numbers(type: "i32" | "f32", values: readonly number[]): Buffer {
  return Buffer.from((type === "i32" ? Int32Array.from(values) : Float32Array.from(values)).buffer);
}

function unsigned(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}

function long(value: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(BigInt(value));
  return bytes;
}

function string(value: string): Buffer {
  const bytes = Buffer.from(value, "utf8");
  return Buffer.concat([long(bytes.byteLength), bytes]);
}
