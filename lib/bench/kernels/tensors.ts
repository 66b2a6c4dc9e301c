import { type Device, type DType, native, Tensor } from "../../native.js";

/**
 * The tensors of one benchmark, filled with random numbers (zeros would let a GPU draw less power and run faster): each
 * tensor has different ones, the same in every run. `dispose` frees all of them.
 */
export class RandomTensors {
  #tensors: Tensor[] = [];
  #views: Tensor[] = [];
  #seed = 0;

  constructor(readonly device: Device) {}

  /** Bytes in the tensors made so far. */
  get bytes(): number {
    return this.#tensors.reduce((sum, tensor) => sum + tensor.byteLength, 0);
  }

  /** A view, which keeps its tensor's memory alive; freed with the rest. */
  view<D extends DType>(view: Tensor<D>): Tensor<D> {
    this.#views.push(view);
    return view;
  }

  /** Not filled: outputs and workspaces. */
  empty<D extends DType>(dtype: D, shape: readonly number[]): Tensor<D> {
    const tensor = new Tensor(this.device, dtype, shape);
    this.#tensors.push(tensor);
    return tensor;
  }

  filled<D extends DType>(dtype: D, shape: readonly number[], value: number): Tensor<D> {
    const tensor = this.empty(dtype, shape);
    native.fill(tensor, value);
    return tensor;
  }

  /** N(0, std^2). */
  normal<D extends "f32" | "bf16">(dtype: D, shape: readonly number[], std = 1): Tensor<D> {
    const tensor = this.empty(dtype, shape);
    if (tensor.dtype === "f32") {
      native.normal(tensor, std, this.#seed++, 0);
      return tensor;
    }
    using exact = new Tensor(this.device, "f32", shape);
    native.normal(exact, std, this.#seed++, 0);
    native.copy(tensor, exact);
    return tensor;
  }

  /** Uniform in [0, below). */
  ids(shape: readonly number[], below: number): Tensor<"i32"> {
    const tensor = this.empty("i32", shape);
    const next = generator(this.#seed++);
    tensor.write(Int32Array.from({ length: tensor.size }, () => Math.floor(next() * below)));
    return tensor;
  }

  dispose(): void {
    for (const tensor of [...this.#views, ...this.#tensors]) tensor.dispose();
    this.#views = [];
    this.#tensors = [];
  }
}

/** Numbers in [0, 1): the mulberry32 generator. */
export function generator(seed: number): () => number {
  const { imul } = Math;
  let state = imul(seed + 1, 0x9e3779b1);
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let x = imul(state ^ (state >>> 15), 1 | state);
    x = (x + imul(x ^ (x >>> 7), 61 | x)) ^ x;
    return ((x ^ (x >>> 14)) >>> 0) / 2 ** 32;
  };
}
