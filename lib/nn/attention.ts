import { attentionScale } from "../hf/architectures.js";
import { native, type Tensor } from "../native.js";
import { type Allocated, Spec } from "./buffers.js";
import type { KeyValueCache } from "./key_value_cache.js";
import type { LayerContext } from "./layer_context.js";
import type { Adding, Linear } from "./linear.js";
import { QkNorm, qkNormSpecs } from "./qk_norm.js";
import type { RotaryEmbedding } from "./rotary_embedding.js";
import { type PassShape, widths } from "./shape.js";
import type { LayerWeights } from "./weights.js";

/** What attention keeps for its backward. */
export function attentionSpecs(shape: PassShape) {
  const { config, dtype, positions } = shape;
  const { qkv, queries } = widths(config);
  return {
    qkv: new Spec(dtype, [positions, qkv]),
    qkNorm: qkNormSpecs(shape),
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

/** How a layer attends. */
export interface AttentionPlan {
  /** What turns queries and keys; null: nothing. */
  readonly rotary: RotaryEmbedding | null;
  /** Positions that a query sees, itself included; 0: all before it. */
  readonly window: number;
  /** Keys and values of earlier positions, which the pass reads and appends to; null: it begins at position 0. */
  readonly cache: KeyValueCache | null;
}

/** Causal grouped-query self-attention with its projections, norms of queries and keys, and rotary embedding. */
export class Attention {
  readonly #projected: Heads;
  /** What queries and keys are compared as: normed and turned. */
  readonly #q: Tensor;
  readonly #k: Tensor;
  readonly #norm: QkNorm | null;
  readonly #attended: Tensor;
  readonly #lse: Tensor;
  readonly #scale: number;
  readonly #backward: (Heads & { dattended: Tensor }) | null;

  /**
   * @param x dt [N, C], the normalised stream
   * @param out dt [N, C], where the output goes
   */
  constructor(
    private readonly context: LayerContext,
    private readonly plan: AttentionPlan,
    private readonly weights: Pick<LayerWeights, "qkv" | "qkNorm"> & { readonly output: Linear },
    private readonly buffers: Allocated<ReturnType<typeof attentionSpecs>>,
    private readonly x: Tensor,
    private readonly out: Tensor,
  ) {
    const { num_attention_heads: heads, head_dim: headDim } = context.config;
    const { sequences, positions } = context.batch;
    const { scratch } = context;
    const perHead = [sequences, positions, heads, headDim];
    this.#projected = splitHeads(buffers.qkv, context);
    this.#norm = weights.qkNorm && new QkNorm(context, weights.qkNorm, buffers.qkNorm!, this.#projected);
    this.#q = this.#norm?.q ?? this.#projected.q;
    this.#k = this.#norm?.k ?? this.#projected.k;
    this.#attended = buffers.attended.reshape(perHead);
    this.#lse = buffers.lse.reshape([sequences, heads, positions]);
    this.#scale = attentionScale(context.config);
    this.#backward = scratch && {
      ...splitHeads(scratch.dqkv, context),
      dattended: scratch.dattended.reshape(perHead),
    };
  }

  /** @param past positions in the cache */
  forward(past: number): void {
    this.#attend(past);
    this.weights.output.forward(this.out, this.buffers.attended);
  }

  /** Computes the activations again. */
  computeAgain(): void {
    this.#attend(0);
  }

  #attend(past: number): void {
    const { rotary, window, cache } = this.plan;
    const { v, qk } = this.#projected;
    this.weights.qkv.forward(this.buffers.qkv, this.x);
    if (this.#norm !== null) this.#norm.forward(rotary?.table ?? null, past);
    else rotary?.forward(qk, past);
    const seen = cache === null ? { k: this.#k, v } : cache.append(this.#k, v, past);
    native.attentionForward(this.#attended, this.#lse, this.#q, seen.k, seen.v, this.#scale, window);
  }

  /**
   * @param dx dt [N, C]; may be `dout`
   * @param dout dt [N, C], the branch's gradient
   * @param adds whether the weights' gradients, and dx, are added to; else they are written
   */
  backward(dx: Tensor, dout: Tensor, adds: Adding): void {
    const { q: dq, k: dk, v: dv, dattended } = this.#backward!;
    const { dqkv, dattended: flat, attentionWorkspace, rowWorkspace } = this.context.scratch!;
    this.weights.output.backward(flat, dout, this.buffers.attended, { ...adds, input: false }, rowWorkspace);
    native.attentionBackward(
      dq,
      dk,
      dv,
      dattended,
      this.#q,
      this.#k,
      this.#projected.v,
      this.#attended,
      this.#lse,
      attentionWorkspace,
      this.plan.rotary?.table ?? null,
      this.#scale,
      this.plan.window,
    );
    this.#norm?.backward(dq, dk);
    this.weights.qkv.backward(dx, dqkv, this.x, adds, rowWorkspace);
  }
}
