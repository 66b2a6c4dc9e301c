/**
 * The element types of the safetensors format, with their sizes.
 * Source: huggingface/safetensors, `safetensors/src/tensor.rs` (enum Dtype), version 0.8.
 */

/** Bits per element. Types below a byte are packed: a tensor of them must fill whole bytes. */
export const bitsPerElement = {
  BOOL: 8,
  U8: 8,
  I8: 8,
  U16: 16,
  I16: 16,
  U32: 32,
  I32: 32,
  U64: 64,
  I64: 64,
  F4: 4,
  F6_E2M3: 6,
  F6_E3M2: 6,
  F8_E4M3: 8,
  F8_E4M3FNUZ: 8,
  F8_E5M2: 8,
  F8_E5M2FNUZ: 8,
  F8_E8M0: 8,
  F16: 16,
  BF16: 16,
  F32: 32,
  F64: 64,
  C64: 64,
} as const;

/** The name of an element type as a safetensors header spells it. */
export type SafetensorsDtype = keyof typeof bitsPerElement;

/** Whether `value` is the name of an element type. */
export function isSafetensorsDtype(value: unknown): value is SafetensorsDtype {
  return typeof value === "string" && Object.hasOwn(bitsPerElement, value);
}

/** Elements in a tensor of `shape`; 1 for a scalar (no dimensions), 0 if a dimension is 0. */
function elementCount(shape: readonly number[]): number {
  return shape.reduce((product, size) => product * size, 1);
}

/** Bytes that a tensor of `dtype` and `shape` takes; not an integer if packed elements leave a byte half full. */
export function byteSize(dtype: SafetensorsDtype, shape: readonly number[]): number {
  return (elementCount(shape) * bitsPerElement[dtype]) / 8;
}
