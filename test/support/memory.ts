import { createHash } from "node:crypto";
import { appendFileSync } from "node:fs";
import { expect } from "@jest/globals";
import type { Device } from "../../lib/device.js";
import { type ArrayOf, type DType, Tensor } from "../../lib/native.js";
import { bf16Bits, fromBf16Bits } from "./numbers.js";

/** What fills memory that nobody may have written: a NaN, and in the other pattern a huge finite number. */
const poisons = {
  nan: { f32: 0x7fc0dead, bf16: 0x7fc1, i32: 0x7fc0dead },
  huge: { f32: 0xff7f1234, bf16: 0xff7e, i32: -0x5f3759df },
};

export interface MemoryOptions {
  /** What outputs and guards hold before the operation. */
  poison?: keyof typeof poisons;
  /** Elements in front of every tensor: 64 keeps blocks aligned, an odd number leaves them at their element's. */
  guard?: number;
}

interface Entry {
  whole: Tensor;
  inner: Tensor;
  before: Uint8Array;
  writable: boolean;
}

/**
 * The tensors of one test. Each lies between guards of poison, and outputs are poisoned, so that an element left
 * out shows; `verify` says that guards and inputs are as they were, then gives the memory back.
 */
export class Memory {
  readonly #entries: Entry[] = [];
  readonly #poison: (typeof poisons)["nan"];
  readonly #guard: number;

  constructor(
    readonly device: Device,
    options: MemoryOptions = {},
  ) {
    this.#poison = poisons[options.poison ?? "nan"];
    this.#guard = options.guard ?? 64;
  }

  /** A tensor that the operation may only read. */
  input<D extends DType>(dtype: D, shape: readonly number[], values: ArrayLike<number>): Tensor<D> {
    return this.#add(dtype, shape, values, false);
  }

  /** A tensor that the operation must write. */
  output<D extends DType>(dtype: D, shape: readonly number[]): Tensor<D> {
    return this.#add(dtype, shape, null, true);
  }

  /** A tensor that the operation reads and writes. */
  inout<D extends DType>(dtype: D, shape: readonly number[], values: ArrayLike<number>): Tensor<D> {
    return this.#add(dtype, shape, values, true);
  }

  /** A workspace: poisoned, and none of the test's business afterwards. */
  workspace<D extends DType>(dtype: D, elements: number): Tensor<D> {
    return this.output(dtype, [Math.max(1, elements)]);
  }

  /** Waits; fails where a guard or an input was written; disposes of all tensors. */
  async verify(): Promise<void> {
    for (const { whole, before, writable } of this.#entries) {
      const after = bytes(await whole.readBits());
      const width = whole.byteLength / whole.size;
      const margin = this.#guard * width;
      const same = (from: number, to: number): boolean =>
        Buffer.compare(before.subarray(from, to), after.subarray(from, to)) === 0;
      expect(same(0, margin) && same(before.length - margin, before.length)).toBe(true);
      if (!writable) expect(same(0, before.length)).toBe(true);
    }
    for (const { whole, inner } of this.#entries.splice(0)) {
      inner.dispose();
      whole.dispose();
    }
  }

  #add<D extends DType>(
    dtype: D,
    shape: readonly number[],
    values: ArrayLike<number> | null,
    writable: boolean,
  ): Tensor<D> {
    const size = shape.reduce((a, b) => a * b, 1);
    if (values && values.length !== size) throw new Error(`${values.length} values for shape [${shape}]`);
    const whole = new Tensor(this.device, dtype, [size + 2 * this.#guard]);
    const data = words(dtype, whole.size).fill(this.#poison[dtype]);
    if (values) for (let i = 0; i < size; ++i) data[this.#guard + i] = encode(dtype, values[i]!);
    const typed = dtype === "f32" ? new Float32Array(data.buffer) : data;
    whole.write(typed as ArrayOf[D]);
    const inner = whole.narrow(0, this.#guard, size).reshape(shape);
    this.#entries.push({ whole, inner, before: bytes(data), writable });
    return inner;
  }
}

/**
 * Reads a result. Where NEXTPATCH_TEST_BITS names a file, its digest is added there, for the results of one run of the
 * tests to be compared with those of another: a line "digest, tab, the test's name".
 */
async function readResult(tensor: Tensor): Promise<ArrayOf[DType]> {
  const data = await tensor.readBits();
  const file = process.env.NEXTPATCH_TEST_BITS;
  if (file) {
    const digest = createHash("sha256").update(bytes(data)).digest("base64");
    appendFileSync(file, `${digest}\t${expect.getState().currentTestName}\n`);
  }
  return data;
}

/** A tensor's values, waited for. */
export async function values(tensor: Tensor): Promise<Float64Array> {
  const data = await readResult(tensor);
  const decode = tensor.dtype === "bf16" ? fromBf16Bits : (x: number): number => x;
  const out = new Float64Array(data.length);
  for (let i = 0; i < data.length; ++i) out[i] = decode(data[i]!);
  return out;
}

/** A tensor's bytes, waited for. */
export async function bits(tensor: Tensor): Promise<Uint8Array> {
  return bytes(await readResult(tensor));
}

function bytes(array: { buffer: ArrayBufferLike; byteOffset: number; byteLength: number }): Uint8Array {
  return new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
}

function words(dtype: DType, count: number): Uint32Array | Uint16Array | Int32Array {
  if (dtype === "bf16") return new Uint16Array(count);
  return dtype === "i32" ? new Int32Array(count) : new Uint32Array(count);
}

const single = new Float32Array(1);
const singleBits = new Uint32Array(single.buffer);

function encode(dtype: DType, value: number): number {
  if (dtype === "bf16") return bf16Bits(value);
  if (dtype === "i32") return value;
  single[0] = value;
  return singleBits[0]!;
}
