import type { Recompute } from "../config/recompute.js";
import type { LlamaConfig } from "../hf/llama_config.js";

/** The parameters that determine the shape of every buffer of one pass. */
export interface PassShape {
  readonly config: LlamaConfig;
  readonly dtype: "f32" | "bf16";
  /** N: positions in one pass, over all its sequences. */
  readonly positions: number;
  /** What the backward computes again; null: there is no backward, and layers keep nothing. */
  readonly recompute: Recompute | null;
}

/** Widths of the projections of a config. */
export function widths(config: LlamaConfig) {
  const headDim = config.head_dim;
  const queries = config.num_attention_heads * headDim;
  const keys = config.num_key_value_heads * headDim;
  return { hidden: config.hidden_size, intermediate: config.intermediate_size, queries, keys, qkv: queries + 2 * keys };
}

/** How one pass cuts its positions: B sequences of T positions of K tokens. */
export interface Batch {
  /** B. */
  readonly sequences: number;
  /** T: positions of a sequence. */
  readonly positions: number;
  /** K: tokens of a position. */
  readonly patchSize: number;
}
