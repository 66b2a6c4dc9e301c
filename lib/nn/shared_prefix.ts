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

/** Where the keys and values of sequences behind prefixes are put together; every layer overwrites it. */
export interface Joint {
  /** dt [rows, G, D]: all prefixes, then all sequences. */
  readonly staged: KeysAndValues;
  /** dt [sequences, P + T, G, D]: each sequence behind its prefix. */
  readonly joined: KeysAndValues;
  /** i32 [sequences * (P + T)]: the row of `staged` that each row of `joined` is. */
  readonly rows: Tensor<"i32">;
}

/** The rows that a `Joint` needs. @param prefixes the prefix of each sequence, among `count` of `past` positions */
export function jointRows(prefixes: readonly number[], count: number, past: number, positions: number): Int32Array {
  const rows = new Int32Array(prefixes.length * (past + positions));
  let at = 0;
  for (const [sequence, prefix] of prefixes.entries()) {
    for (let i = 0; i < past; i++) rows[at++] = prefix * past + i;
    for (let i = 0; i < positions; i++) rows[at++] = count * past + sequence * positions + i;
  }
  return rows;
}

/** Puts each sequence's own keys and values behind those of its prefix, which several sequences may share. */
export class SuffixCache extends KeyValueCache {
  /** @param kept dt [prefixes, P, G, D], of this layer */
  constructor(
    private readonly kept: KeysAndValues,
    private readonly joint: Joint,
  ) {
    super(joint.joined);
  }

  override append(k: Tensor, v: Tensor): { readonly k: Tensor; readonly v: Tensor } {
    const { joined } = this.joint;
    this.#join("k", k);
    this.#join("v", v);
    return joined;
  }

  #join(part: "k" | "v", own: Tensor): void {
    const { staged, joined, rows } = this.joint;
    const [prefixes, past, heads, headDim] = this.kept[part].shape as [number, number, number, number];
    const [sequences, positions] = own.shape as [number, number];
    const before = staged[part].narrow(0, 0, prefixes * past);
    const behind = staged[part].narrow(0, prefixes * past, sequences * positions);
    native.copy(before.reshape([prefixes, past, heads, headDim]), this.kept[part]);
    native.copy(behind.reshape([sequences, positions, heads, headDim]), own);
    const all = staged[part].narrow(0, 0, prefixes * past + sequences * positions);
    // An embedding of one token a patch gathers rows of a table: one operation, however many sequences there are.
    native.patchEmbeddingForward(
      joined[part].reshape([rows.size, heads * headDim]),
      rows,
      all.reshape([all.shape[0]!, heads * headDim]),
      1,
    );
  }
}
