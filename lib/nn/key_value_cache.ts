import { native, type Tensor } from "../native.js";
import { type Allocated, Spec } from "./buffers.js";
import type { PassShape } from "./shape.js";

/** The keys and values of one layer, for one sequence of up to `shape.positions` tokens. */
export function keyValueCacheSpecs({ config, dtype, positions }: PassShape) {
  const heads = new Spec(dtype, [1, positions, config.num_key_value_heads, config.head_dim]);
  return { k: heads, v: heads };
}

/** The keys and values of a layer's past tokens. */
export class KeyValueCache {
  constructor(private readonly buffers: Allocated<ReturnType<typeof keyValueCacheSpecs>>) {}

  /**
   * Appends keys and values after the first `past`.
   * @param k dt [1, T, G, D], strided, as is `v`
   * @returns views of all: dt [1, past + T, G, D]
   */
  append(k: Tensor, v: Tensor, past: number): { readonly k: Tensor; readonly v: Tensor } {
    const count = k.shape[1]!;
    native.copy(this.buffers.k.narrow(1, past, count), k);
    native.copy(this.buffers.v.narrow(1, past, count), v);
    return { k: this.buffers.k.narrow(1, 0, past + count), v: this.buffers.v.narrow(1, 0, past + count) };
  }
}
