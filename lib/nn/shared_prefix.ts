import { native, type Tensor } from "../native.js";
import { type Allocated, Spec } from "./buffers.js";
import { KeyValueCache, type keyValueCacheSpecs } from "./key_value_cache.js";
import type { PassShape } from "./shape.js";

type KeysAndValues = Allocated<ReturnType<typeof keyValueCacheSpecs>>;

/** Keys and values of `positions` positions, which a pass cuts into sequences. */
export function keysAndValuesSpecs({ config, dtype }: PassShape, positions: number) {
  const heads = new Spec(dtype, [positions, config.num_key_value_heads, config.head_dim]);
  return { k: heads, v: heads };
}

/** The first rows of a buffer, as [sequences, positions, G, D]. */
export function cut(buffers: KeysAndValues, sequences: number, positions: number): KeysAndValues {
  const part = (tensor: KeysAndValues["k"]) => {
    const [, heads, headDim] = tensor.shape as [number, number, number];
    return tensor.narrow(0, 0, sequences * positions).reshape([sequences, positions, heads, headDim]);
  };
  return { k: part(buffers.k), v: part(buffers.v) };
}

/** Keeps a layer's keys and values of prefixes, for `SuffixCache`. */
export class PrefixCache extends KeyValueCache {
  /** @param kept dt [prefixes, P, G, D], written */
  constructor(private readonly kept: KeysAndValues) {
    super(kept);
  }

  override append(k: Tensor, v: Tensor): { readonly k: Tensor; readonly v: Tensor } {
    native.copy(this.kept.k, k);
    native.copy(this.kept.v, v);
    return { k, v };
  }
}

/** Puts each sequence's own keys and values behind those of its prefix, which several sequences may share. */
export class SuffixCache extends KeyValueCache {
  /**
   * @param kept dt [prefixes, P, G, D], of this layer
   * @param joined dt [sequences, P + T, G, D], overwritten by every layer
   * @param prefixes the prefix of each sequence
   */
  constructor(
    private readonly kept: KeysAndValues,
    private readonly joined: KeysAndValues,
    private readonly prefixes: readonly number[],
  ) {
    super(joined);
  }

  override append(k: Tensor, v: Tensor, past: number): { readonly k: Tensor; readonly v: Tensor } {
    for (const [sequence, prefix] of this.prefixes.entries()) {
      for (const part of ["k", "v"] as const) {
        const before = this.joined[part].narrow(0, sequence, 1).narrow(1, 0, past);
        native.copy(before, this.kept[part].narrow(0, prefix, 1));
      }
    }
    super.append(k, v, past);
    return this.joined;
  }
}
