import type { Tensor } from "../native.js";
import { Attention, type AttentionScratch, attentionSpecs } from "./attention.js";
import { type Allocated, Spec } from "./buffers.js";
import { Mlp, mlpSpecs } from "./mlp.js";
import { RmsNorm, rmsNormSpecs } from "./rms_norm.js";
import { type Batch, type PassShape, widths } from "./shape.js";
import type { LayerWeights } from "./weights.js";

/** What one layer keeps for its backward. The first has the embedding as its stream: nothing is added to it yet. */
export function layerSpecs(shape: PassShape, index: number) {
  return {
    attentionNorm: rmsNormSpecs(shape, index > 0),
    attention: attentionSpecs(shape),
    mlpNorm: rmsNormSpecs(shape, true),
    mlp: mlpSpecs(shape),
  };
}

/** What the backward of every layer may overwrite, whichever layer it is. */
export function scratchSpecs({ config, dtype, positions }: PassShape, sizes: { attention: number; norm: number }) {
  const { qkv, queries, hidden, intermediate } = widths(config);
  return {
    dqkv: new Spec(dtype, [positions, qkv]),
    dattended: new Spec(dtype, [positions, queries]),
    dactivated: new Spec(dtype, [positions, intermediate]),
    /** The gradient in the residual stream, and in a normalised copy of it. */
    dstream: new Spec(dtype, [positions, hidden]),
    dnormed: new Spec(dtype, [positions, hidden]),
    attentionWorkspace: new Spec("f32", [sizes.attention]),
    normWorkspace: new Spec("f32", [sizes.norm]),
  };
}

export type Scratch = Allocated<ReturnType<typeof scratchSpecs>>;

/** A pre-norm transformer layer: attention, then the MLP, each a branch added to the stream. */
export class Layer {
  readonly #attentionNorm: RmsNorm;
  readonly #attention: Attention;
  readonly #mlpNorm: RmsNorm;
  readonly #mlp: Mlp;

  /**
   * @param x dt [N, C], the stream that comes in
   * @param pending dt [N, C], the previous layer's branch, still to be added to it, or null
   * @param branch dt [N, C], where this layer leaves its own
   */
  constructor(
    shape: PassShape,
    batch: Batch,
    weights: LayerWeights,
    buffers: Allocated<ReturnType<typeof layerSpecs>>,
    private readonly scratch: Scratch | null,
    rotaryTable: Tensor,
    x: Tensor,
    pending: Tensor | null,
    branch: Tensor,
  ) {
    const epsilon = shape.config.rms_norm_eps;
    const workspace = scratch?.normWorkspace ?? null;
    const attentionScratch: AttentionScratch | null = scratch;
    this.#attentionNorm = new RmsNorm(weights.attentionNorm, epsilon, buffers.attentionNorm, x, pending, workspace);
    this.#attention = new Attention(
      shape,
      batch,
      weights,
      buffers.attention,
      attentionScratch,
      rotaryTable,
      this.#attentionNorm.out,
      branch,
    );
    this.#mlpNorm = new RmsNorm(
      weights.mlpNorm,
      epsilon,
      buffers.mlpNorm,
      this.#attentionNorm.stream,
      branch,
      workspace,
    );
    this.#mlp = new Mlp(weights, buffers.mlp, scratch?.dactivated ?? null, this.#mlpNorm.out, branch);
  }

  /** dt [N, C]: the stream without the branch that this layer leaves. */
  get stream(): Tensor {
    return this.#mlpNorm.stream;
  }

  forward(): void {
    this.#attentionNorm.forward();
    this.#attention.forward();
    this.#mlpNorm.forward();
    this.#mlp.forward();
  }

  /** Carries `dstream` from the layer's output to its input, in place. */
  backward(): void {
    const { dstream, dnormed } = this.scratch!;
    this.#mlp.backward(dnormed, dstream);
    this.#mlpNorm.backward(dstream, dnormed, true);
    this.#attention.backward(dnormed, dstream);
    this.#attentionNorm.backward(dstream, dnormed, true);
  }
}
