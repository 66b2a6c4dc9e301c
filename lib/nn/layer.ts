import type { Tensor } from "../native.js";
import { Attention, attentionSpecs } from "./attention.js";
import type { Allocated } from "./buffers.js";
import type { KeyValueCache } from "./key_value_cache.js";
import type { LayerContext } from "./layer_context.js";
import { Mlp, mlpSpecs } from "./mlp.js";
import { RmsNorm, rmsNormSpecs } from "./rms_norm.js";
import type { PassShape } from "./shape.js";
import type { LayerWeights } from "./weights.js";

/**
 * What one layer keeps for its backward.
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
    buffers: Allocated<ReturnType<typeof layerSpecs>>,
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

  /** Carries `dstream` from the layer's output to its input, in place. */
  backward(): void {
    const { dstream, dnormed } = this.context.scratch!;
    this.#mlp.backward(dnormed, dstream);
    this.#mlpNorm.backward(dstream, dnormed, true);
    this.#attention.backward(dnormed, dstream);
    this.#attentionNorm.backward(dstream, dnormed, true);
  }
}
