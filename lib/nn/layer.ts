import type { Recompute } from "../config/recompute.js";
import type { Tensor } from "../native.js";
import { Attention, attentionSpecs } from "./attention.js";
import { type Allocated, select } from "./buffers.js";
import type { KeyValueCache } from "./key_value_cache.js";
import type { LayerContext } from "./layer_context.js";
import { Mlp, mlpSpecs } from "./mlp.js";
import { RmsNorm, rmsNormSpecs } from "./rms_norm.js";
import type { PassShape } from "./shape.js";
import type { LayerWeights } from "./weights.js";

/**
 * The activations of one layer.
 * @param first whether it is the first layer, whose stream is the embedding: no branch is added to it yet
 */
export function layerSpecs(shape: PassShape, first: boolean) {
  return {
    attentionNorm: rmsNormSpecs(shape, !first),
    attention: attentionSpecs(shape),
    mlpNorm: rmsNormSpecs(shape, true),
    mlp: mlpSpecs(shape),
  };
}

type LayerBuffers = ReturnType<typeof layerSpecs>;

/** The names of what every layer keeps until its backward. */
const kept: Readonly<Record<Recompute, (name: string) => boolean>> = {
  none: () => true,
  elementwise: (name) => name !== "out" && name !== "activated",
  block: (name) => name === "stream" || name === "rstd",
};

/** The activations of all layers: what each has for itself, and what they share. */
export function layersSpecs(shape: PassShape) {
  const own = shape.recompute === null ? () => false : kept[shape.recompute];
  return {
    layers: Array.from({ length: shape.config.num_hidden_layers }, (_, i) => select(layerSpecs(shape, i === 0), own)),
    shared: select(layerSpecs(shape, false), (name) => !own(name)),
  };
}

/** A pre-norm transformer layer: attention, then the MLP, each a branch added to the stream. */
export class Layer {
  readonly #attentionNorm: RmsNorm;
  readonly #attention: Attention;
  readonly #mlpNorm: RmsNorm;
  readonly #mlp: Mlp;

  /**
   * @param x dt [N, C], the incoming stream
   * @param pending dt [N, C], the previous layer's branch, not yet added to it, or null
   * @param cache keys and values of earlier positions; null if the pass has all positions
   */
  constructor(
    private readonly context: LayerContext,
    weights: LayerWeights,
    buffers: Allocated<LayerBuffers>,
    x: Tensor,
    pending: Tensor | null,
    cache: KeyValueCache | null,
  ) {
    const norm = (name: "attentionNorm" | "mlpNorm", stream: Tensor, branch: Tensor | null) => {
      const workspace = context.scratch?.normWorkspace ?? null;
      return new RmsNorm(weights[name], context.config.rms_norm_eps, buffers[name], stream, branch, workspace);
    };
    this.#attentionNorm = norm("attentionNorm", x, pending);
    this.#attention = new Attention(context, weights, buffers.attention, this.#attentionNorm.out, cache);
    this.#mlpNorm = norm("mlpNorm", this.#attentionNorm.stream, context.branch);
    this.#mlp = new Mlp(context, weights, buffers.mlp, this.#mlpNorm.out);
  }

  /** dt [N, C]: the stream without this layer's last branch. */
  get stream(): Tensor {
    return this.#mlpNorm.stream;
  }

  /** @param past positions in the cache */
  forward(past: number): void {
    this.#attentionNorm.forward();
    this.#attention.forward(past);
    this.#mlpNorm.forward();
    this.#mlp.forward();
  }

  /** Computes again what was not kept: the same operations on the same numbers, so the same bits. */
  #computeAgain(recompute: Exclude<Recompute, "none">): void {
    this.#attentionNorm.computeAgain();
    if (recompute === "block") this.#attention.computeAgain();
    this.#mlpNorm.computeAgain();
    this.#mlp.computeAgain(recompute);
  }

  /**
   * Carries `dstream` from the layer's output to its input, in place.
   * @param accumulate whether the products' gradients are added to, or written; the norms' are always added to
   */
  backward(accumulate: boolean): void {
    const { dstream, dnormed } = this.context.scratch!;
    const { recompute } = this.context;
    if (recompute !== null && recompute !== "none") this.#computeAgain(recompute);
    this.#mlp.backward(dnormed, dstream, accumulate);
    this.#mlpNorm.backward(dstream, dnormed, true);
    this.#attention.backward(dnormed, dstream, accumulate);
    this.#attentionNorm.backward(dstream, dnormed, true);
  }
}
