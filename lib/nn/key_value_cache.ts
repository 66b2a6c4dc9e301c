import { native, type Tensor } from "../native.js";
import { type Allocated, Spec } from "./buffers.js";
import type { PassShape } from "./shape.js";

/** The keys and values of one layer, for sequences of up to `capacity` tokens. */
export function keyValueCacheSpecs({ config, dtype }: PassShape, sequences: number, capacity: number) {
  const heads = new Spec(dtype, [sequences, capacity, config.num_key_value_heads, config.head_dim]);
  return { k: heads, v: heads };
}

/** The keys and values of a layer's past tokens. */
export class KeyValueCache {
  constructor(private readonly buffers: Allocated<ReturnType<typeof keyValueCacheSpecs>>) {}

  /**
   * Appends keys and values after the first `past` of the first B sequences.
   * @param k dt [B, T, G, D], strided, as is `v`
   * @returns views of all: dt [B, past + T, G, D]
   */
  append(k: Tensor, v: Tensor, past: number): { readonly k: Tensor; readonly v: Tensor } {
    const [sequences, count] = k.shape as [number, number];
    const [allK, allV] = [this.buffers.k.narrow(0, 0, sequences), this.buffers.v.narrow(0, 0, sequences)];
    native.copy(allK.narrow(1, past, count), k);
    native.copy(allV.narrow(1, past, count), v);
    return { k: allK.narrow(1, 0, past + count), v: allV.narrow(1, 0, past + count) };
  }

  /** Replaces a sequence by another one, of `length` tokens. */
  move(from: number, to: number, length: number): void {
    for (const all of [this.buffers.k, this.buffers.v]) {
      const past = all.narrow(1, 0, length);
      native.copy(past.narrow(0, to, 1), past.narrow(0, from, 1));
    }
  }
}
