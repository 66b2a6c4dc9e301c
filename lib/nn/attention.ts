import { native, type Tensor } from "../native.js";
import { type Allocated, Spec } from "./buffers.js";
import type { KeyValueCache } from "./key_value_cache.js";
import type { LayerContext } from "./layer_context.js";
import type { Linear } from "./linear.js";
import { type PassShape, widths } from "./shape.js";

/** What attention keeps for its backward. */
export function attentionSpecs({ config, dtype, positions }: PassShape) {
  const { qkv, queries } = widths(config);
  return {
    qkv: new Spec(dtype, [positions, qkv]),
    attended: new Spec(dtype, [positions, queries]),
    lse: new Spec("f32", [positions * config.num_attention_heads]),
  };
}

/** The heads of a fused projection [B, T, H + 2G, D], as strided views. */
interface Heads {
  readonly q: Tensor;
  readonly k: Tensor;
  readonly v: Tensor;
  /** q and k together: what the rotary embedding turns. */
  readonly qk: Tensor;
}

function splitHeads(fused: Tensor, { config, batch }: LayerContext): Heads {
  const { num_attention_heads: heads, num_key_value_heads: kvHeads, head_dim: headDim } = config;
  const all = fused.reshape([batch.sequences, batch.positions, heads + 2 * kvHeads, headDim]);
  return {
    q: all.narrow(2, 0, heads),
    k: all.narrow(2, heads, kvHeads),
    v: all.narrow(2, heads + kvHeads, kvHeads),
    qk: all.narrow(2, 0, heads + kvHeads),
  };
}

/** Causal grouped-query self-attention with its projections and rotary embedding. */
export class Attention {
  readonly #forward: Heads;
  readonly #attended: Tensor;
  readonly #lse: Tensor;
  readonly #scale: number;
  readonly #backward: (Heads & { dattended: Tensor }) | null;

  /**
   * @param x dt [N, C], the normalised stream; the output goes to the context's branch
   * @param cache keys and values of earlier positions, which this pass reads and appends to; null: it begins at
   *   position 0
   */
  constructor(
    private readonly context: LayerContext,
    private readonly weights: { readonly qkv: Linear; readonly output: Linear },
    private readonly buffers: Allocated<ReturnType<typeof attentionSpecs>>,
    private readonly x: Tensor,
    private readonly cache: KeyValueCache | null,
  ) {
    const { num_attention_heads: heads, head_dim: headDim } = context.config;
    const { sequences, positions } = context.batch;
    const { scratch } = context;
    const perHead = [sequences, positions, heads, headDim];
    this.#forward = splitHeads(buffers.qkv, context);
    this.#attended = buffers.attended.reshape(perHead);
    this.#lse = buffers.lse.reshape([sequences, heads, positions]);
    this.#scale = 1 / Math.sqrt(headDim);
    this.#backward = scratch && {
      ...splitHeads(scratch.dqkv, context),
      dattended: scratch.dattended.reshape(perHead),
    };
  }

  /** @param past positions in the cache */
  forward(past: number): void {
    this.#attend(past);
    this.weights.output.forward(this.context.branch, this.buffers.attended);
  }

  /** Computes the activations again. */
  computeAgain(): void {
    this.#attend(0);
  }

  #attend(past: number): void {
    const { q, k, v, qk } = this.#forward;
    this.weights.qkv.forward(this.buffers.qkv, this.x);
    this.context.rotary.forward(qk, past);
    const seen = this.cache === null ? { k, v } : this.cache.append(k, v, past);
    native.attentionForward(this.#attended, this.#lse, q, seen.k, seen.v, this.#scale, 0);
  }

  /**
   * @param dx dt [N, C], written
   * @param dout dt [N, C], the branch's gradient
   * @param accumulate whether the weights' gradients are added to, or written
   */
  backward(dx: Tensor, dout: Tensor, accumulate: boolean): void {
    const { q, k, v } = this.#forward;
    const { q: dq, k: dk, v: dv, dattended } = this.#backward!;
    const { dqkv, dattended: flat, attentionWorkspace } = this.context.scratch!;
    this.weights.output.backward(flat, dout, this.buffers.attended, accumulate);
    native.attentionBackward(
      dq,
      dk,
      dv,
      dattended,
      q,
      k,
      v,
      this.#attended,
      this.#lse,
      attentionWorkspace,
      this.context.rotary.table,
      this.#scale,
      0,
    );
    this.weights.qkv.backward(dx, dqkv, this.x, accumulate);
  }
}
