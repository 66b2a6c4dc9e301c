import { native, type Tensor } from "../native.js";
import { Spec } from "./buffers.js";
import type { Linear } from "./linear.js";
import { type Batch, type PassShape, widths } from "./shape.js";

/** What attention keeps for its backward. */
export function attentionSpecs({ config, dtype, positions }: PassShape) {
  const { qkv, queries } = widths(config);
  return {
    qkv: new Spec(dtype, [positions, qkv]),
    attended: new Spec(dtype, [positions, queries]),
    lse: new Spec("f32", [positions * config.num_attention_heads]),
  };
}

export interface AttentionBuffers {
  readonly qkv: Tensor;
  readonly attended: Tensor;
  readonly lse: Tensor;
}

/** What the backward of every layer may overwrite. */
export interface AttentionScratch {
  /** dt [N, queries + 2 keys] and [N, queries]. */
  readonly dqkv: Tensor;
  readonly dattended: Tensor;
  /** f32, the kernel's workspace. */
  readonly attentionWorkspace: Tensor;
}

/** The heads of a fused projection [B, T, H + 2G, D], as strided views. */
export interface Heads {
  readonly q: Tensor;
  readonly k: Tensor;
  readonly v: Tensor;
  /** q and k together: what the rotary embedding turns. */
  readonly qk: Tensor;
}

export function splitHeads(fused: Tensor, sequences: number, heads: number, kvHeads: number, headDim: number): Heads {
  const all = fused.reshape([sequences, fused.shape[0]! / sequences, heads + 2 * kvHeads, headDim]);
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
   * @param rotaryTable f32 [>= T, D/2, 2]
   * @param x dt [N, C], the normalised stream
   * @param out dt [N, C], the branch that is added to the stream
   */
  constructor(
    shape: PassShape,
    batch: Batch,
    private readonly weights: { readonly qkv: Linear; readonly output: Linear },
    private readonly buffers: AttentionBuffers,
    private readonly scratch: AttentionScratch | null,
    private readonly rotaryTable: Tensor,
    private readonly x: Tensor,
    private readonly out: Tensor,
  ) {
    const { num_attention_heads: heads, num_key_value_heads: kvHeads, head_dim: headDim } = shape.config;
    const { sequences, positions } = batch;
    const perHead = [sequences, positions, heads, headDim];
    this.#forward = splitHeads(buffers.qkv, sequences, heads, kvHeads, headDim);
    this.#attended = buffers.attended.reshape(perHead);
    this.#lse = buffers.lse.reshape([sequences, heads, positions]);
    this.#scale = 1 / Math.sqrt(headDim);
    this.#backward = scratch && {
      ...splitHeads(scratch.dqkv, sequences, heads, kvHeads, headDim),
      dattended: scratch.dattended.reshape(perHead),
    };
  }

  forward(): void {
    const { q, k, v, qk } = this.#forward;
    this.weights.qkv.forward(this.buffers.qkv, this.x);
    native.rotary(qk, this.rotaryTable, 0, false);
    native.attentionForward(this.#attended, this.#lse, q, k, v, this.#scale);
    this.weights.output.forward(this.out, this.buffers.attended);
  }

  /** @param dx dt [N, C], written; @param dout dt [N, C], the gradient in `out` */
  backward(dx: Tensor, dout: Tensor): void {
    const { q, k, v } = this.#forward;
    const { q: dq, k: dk, v: dv, qk: dqk, dattended } = this.#backward!;
    const { dqkv, dattended: flat, attentionWorkspace } = this.scratch!;
    this.weights.output.backward(flat, dout, this.buffers.attended);
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
      this.#scale,
    );
    native.rotary(dqk, this.rotaryTable, 0, true);
    this.weights.qkv.backward(dx, dqkv, this.x);
  }
}
