import type { Recompute } from "../config/recompute.js";
import type { LlamaConfig } from "../hf/llama_config.js";
import type { Tensor } from "../native.js";
import { type Allocated, Spec } from "./buffers.js";
import type { RotaryEmbeddings } from "./rotary_embedding.js";
import { type Batch, type PassShape, widths } from "./shape.js";

/** Scratch of the backward, shared by all layers. */
export function scratchSpecs({ config, dtype, positions }: PassShape, sizes: { attention: number; rows: number }) {
  const { qkv, queries, hidden, intermediate } = widths(config);
  return {
    dqkv: new Spec(dtype, [positions, qkv]),
    dattended: new Spec(dtype, [positions, queries]),
    dactivated: new Spec(dtype, [positions, intermediate]),
    /** The gradients of the residual stream and of its normalised copy. */
    dstream: new Spec(dtype, [positions, hidden]),
    dnormed: new Spec(dtype, [positions, hidden]),
    attentionWorkspace: new Spec("f32", [sizes.attention]),
    /** For sums over rows: the gradients of norms' weights and of biases. */
    rowWorkspace: new Spec("f32", [sizes.rows]),
  };
}

export type Scratch = Allocated<ReturnType<typeof scratchSpecs>>;

/** What the layers of one pass have in common. */
export interface LayerContext {
  readonly config: LlamaConfig;
  readonly batch: Batch;
  /** What the backward computes again; null: there is none. */
  readonly recompute: Recompute | null;
  readonly rotary: RotaryEmbeddings;
  /** Of all norms. */
  readonly epsilon: number;
  /** What is added to the norms' weights. */
  readonly weightOffset: number;
  /** dt [N, C]: the output of attention, then of the MLP, until the next norm adds it to the stream. */
  readonly branch: Tensor;
  /** Null if there is no backward. */
  readonly scratch: Scratch | null;
}
