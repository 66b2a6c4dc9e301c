import { generator } from "../bench/kernels/tensors.js";
import { type ArrayOf, type Device, type DType, Tensor } from "../native.js";
import type { Tolerance } from "./tolerance.js";

/** What fills memory that a call must not read, or has to write: a NaN, or in another run a huge number. */
const poisons = {
  nan: { f32: 0x7fc0dead, bf16: 0x7fc1, i32: 0x7fc0dead },
  huge: { f32: 0xff7f1234, bf16: 0xff7e, i32: 0xff7f1234 },
};
export type Poison = keyof typeof poisons;

/** Elements of poison before and after each tensor. An odd number leaves a tensor aligned to its elements only. */
const guards = { aligned: 64, misaligned: 61 };
export type Alignment = keyof typeof guards;

/** A call wrote to memory that is not its result. */
export class StrayWrite extends Error {}

/** What the runs of one call have in common: its inputs, and the values that `alike` carries from the first run on. */
export class Script {
  readonly inputs: ArrayOf[DType][] = [];
  readonly carried: ArrayOf[DType][] = [];
}

/** A result of a call, read back. */
export interface Result {
  readonly name: string;
  readonly dtype: DType;
  readonly shape: readonly number[];
  readonly tolerance: Tolerance;
  readonly data: ArrayOf[DType];
}

interface Entry {
  readonly whole: Tensor;
  readonly inner: Tensor;
  readonly shape: readonly number[];
  readonly written: ArrayOf[DType];
  /** Only of a result. */
  readonly result?: { readonly name: string; readonly tolerance: Tolerance };
  /** A workspace or a result. */
  readonly writable: boolean;
}

/** -sqrt(3) to sqrt(3): uniform numbers between them have variance 1. */
const edge = Math.sqrt(3);

/**
 * The tensors of one run of a call. Each lies between guards of poison; results and workspaces are poisoned too, so that
 * an element that is left out shows. The n-th input has the same values in every run.
 */
export class CallMemory {
  readonly #entries: Entry[] = [];
  #inputs = 0;
  #carried = 0;

  constructor(
    readonly device: Device,
    private readonly script: Script,
    private readonly alignment: Alignment,
    private readonly poison: Poison,
  ) {}

  /** An input of uniform random numbers in [low, high). */
  random<D extends "f32" | "bf16">(dtype: D, shape: readonly number[], low = -edge, high = edge): Tensor<D> {
    return this.#add(dtype, shape, this.#numbers(dtype, shape, low, high), false);
  }

  /** An input of random ids in [0, below); every fourth becomes `or`. */
  ids(shape: readonly number[], below: number, or?: number): Tensor<"i32"> {
    const { floor } = Math;
    const id = (next: () => number) => {
      const drawn = floor(next() * below);
      return or !== undefined && next() < 0.25 ? or : drawn;
    };
    return this.#add("i32", shape, this.#made("i32", shape, id), false);
  }

  /** An input of these numbers, in f32. */
  values(numbers: readonly number[]): Tensor<"f32"> {
    return this.#add("f32", [numbers.length], Float32Array.from(numbers), false);
  }

  /** A result, written as a whole. */
  output<D extends DType>(name: string, dtype: D, shape: readonly number[], tolerance: Tolerance): Tensor<D> {
    return this.#add(dtype, shape, null, true, { name, tolerance });
  }

  /** A result that holds uniform random numbers in [low, high) before the call. */
  changed<D extends "f32" | "bf16">(
    name: string,
    dtype: D,
    shape: readonly number[],
    tolerance: Tolerance,
    [low, high]: readonly [number, number] = [-edge, edge],
  ): Tensor<D> {
    return this.#add(dtype, shape, this.#numbers(dtype, shape, low, high), true, { name, tolerance });
  }

  /** A result of one element that counts up from this number. */
  counter(name: string, from: number): Tensor<"i32"> {
    return this.#add("i32", [1], Int32Array.of(from), true, { name, tolerance: "equal" });
  }

  workspace<D extends DType>(dtype: D, elements: number): Tensor<D> {
    return this.#add(dtype, [Math.max(1, elements)], null, true);
  }

  /** Gives tensors the values that they have in the first run, so that what follows starts from the same. */
  async alike(...tensors: readonly Tensor[]): Promise<void> {
    for (const tensor of tensors) {
      const known = this.script.carried[this.#carried++];
      if (known) tensor.write(known);
      else this.script.carried.push(await tensor.readBits());
    }
  }

  /**
   * Waits for the call.
   * @throws StrayWrite if it wrote what it must not
   */
  async results(): Promise<Result[]> {
    const results: Result[] = [];
    for (const { whole, shape, written, result, writable } of this.#entries) {
      const found = await whole.readBits();
      const guard = guards[this.alignment];
      const end = found.length - guard;
      const parts = writable ? [[0, guard] as const, [end, found.length] as const] : [[0, found.length] as const];
      for (const [from, to] of parts) {
        if (sameBits(found.subarray(from, to), written.subarray(from, to))) continue;
        throw new StrayWrite(writable ? "it wrote beyond the end of a result" : "it wrote to an input");
      }
      if (result) results.push({ ...result, dtype: whole.dtype, shape, data: found.slice(guard, end) });
    }
    return results;
  }

  dispose(): void {
    for (const { whole } of this.#entries.splice(0)) whole.free();
  }

  #numbers<D extends DType>(dtype: D, shape: readonly number[], low: number, high: number): ArrayOf[D] {
    return this.#made(dtype, shape, (next) => low + (high - low) * next());
  }

  /** The next input's data, the same in every run. */
  #made<D extends DType>(dtype: D, shape: readonly number[], value: (next: () => number) => number): ArrayOf[D] {
    const index = this.#inputs++;
    const known = this.script.inputs[index];
    if (known) return known as ArrayOf[D];
    const next = generator(index);
    const drawn = dtype === "i32" ? new Int32Array(sizeOf(shape)) : new Float32Array(sizeOf(shape));
    for (let i = 0; i < drawn.length; i++) drawn[i] = value(next);
    const data = encode(dtype, drawn);
    this.script.inputs[index] = data;
    return data;
  }

  #add<D extends DType>(
    dtype: D,
    shape: readonly number[],
    data: ArrayOf[D] | null,
    writable: boolean,
    result?: Entry["result"],
  ): Tensor<D> {
    const guard = guards[this.alignment];
    const size = sizeOf(shape);
    const written = poisoned(dtype, size + 2 * guard, poisons[this.poison][dtype]);
    if (data) written.set(data, guard);
    const whole = new Tensor(this.device, dtype, [written.length]);
    const inner = whole.narrow(0, guard, size).reshape(shape);
    whole.write(written);
    this.#entries.push({ whole, inner, shape, written, writable, ...(result && { result }) });
    return inner;
  }
}

export function sameBits(a: ArrayOf[DType], b: ArrayOf[DType]): boolean {
  const bytes = (x: ArrayOf[DType]) => new Uint8Array(x.buffer, x.byteOffset, x.byteLength);
  return Buffer.compare(bytes(a), bytes(b)) === 0;
}

function sizeOf(shape: readonly number[]): number {
  return shape.reduce((product, size) => product * size, 1);
}

function poisoned<D extends DType>(dtype: D, length: number, word: number): ArrayOf[D] {
  if (dtype === "bf16") return new Uint16Array(length).fill(word) as ArrayOf[D];
  const words = new Uint32Array(length).fill(word);
  return (dtype === "i32" ? new Int32Array(words.buffer) : new Float32Array(words.buffer)) as ArrayOf[D];
}

/** The numbers in a dtype; bf16 by truncation: which numbers near the given ones are taken does not matter. */
function encode<D extends DType>(dtype: D, numbers: Float32Array | Int32Array): ArrayOf[D] {
  if (dtype !== "bf16") return numbers as ArrayOf[D];
  const words = new Uint32Array(numbers.buffer);
  const bits = new Uint16Array(words.length);
  for (let i = 0; i < bits.length; i++) bits[i] = words[i]! >>> 16;
  return bits as ArrayOf[D];
}
