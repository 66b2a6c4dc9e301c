import type { Recompute } from "../config/recompute.js";
import { architectureOf, embeddingScale, layerShapes, normWeightOffset } from "../hf/architectures.js";
import type { LlamaConfig } from "../hf/llama_config.js";
import type { Tensor } from "../native.js";
import { type Allocated, overlay, Spec } from "./buffers.js";
import type { KeyValueCache } from "./key_value_cache.js";
import { Layer, type layerSpecs, layersSpecs } from "./layer.js";
import type { LayerContext, Scratch } from "./layer_context.js";
import { PatchEmbedding } from "./patch_embedding.js";
import { RmsNorm, rmsNormSpecs } from "./rms_norm.js";
import type { RotaryEmbeddings } from "./rotary_embedding.js";
import type { Batch, PassShape } from "./shape.js";
import { unwatched, type Watch } from "./watch.js";
import type { ModelWeights } from "./weights.js";

/** The activations of a transformer. */
export function transformerSpecs(shape: PassShape) {
  const { config, dtype, positions } = shape;
  const rows = new Spec(dtype, [positions, config.hidden_size]);
  return {
    embedded: rows,
    branch: rows,
    ...layersSpecs(shape),
    norm: rmsNormSpecs(shape, architectureOf(config).norms === "before"),
  };
}

/** The inputs and buffers of a transformer. */
export interface TransformerMemory {
  readonly buffers: Allocated<ReturnType<typeof transformerSpecs>>;
  readonly rotary: RotaryEmbeddings;
  /** i32 [N * K]. */
  readonly tokens: Tensor;
  /** For the backward; null if there is none. */
  readonly training: { readonly scratch: Scratch; readonly embeddingWorkspace: Tensor } | null;
  /** A cache for each layer; null if a pass has all positions of its sequences. */
  readonly caches: readonly KeyValueCache[] | null;
}

/** The model without its head, in training and in generation: embedding, layers, final norm. */
export class Transformer {
  /** dt [N, C]: the normalised output. */
  readonly out: Tensor;
  /**
   * dt [N, C] each: what every layer gets, and last `out`; after a forward over memory in which each layer has a stream
   * of its own.
   */
  readonly hidden: readonly Tensor[];
  readonly #embedding: PatchEmbedding;
  readonly #layers: readonly Layer[];
  readonly #norm: RmsNorm;
  readonly #scratch: Scratch | null;

  /** @param recompute what the backward computes again; null: there is none */
  constructor(
    config: LlamaConfig,
    batch: Batch,
    weights: ModelWeights,
    memory: TransformerMemory,
    recompute: Recompute | null,
  ) {
    const { buffers, rotary, tokens, training, caches } = memory;
    const { embedded, branch } = buffers;
    const scratch = training?.scratch ?? null;
    const [epsilon, weightOffset] = [config.rms_norm_eps, normWeightOffset(config)];
    const context: LayerContext = { config, batch, recompute, rotary, epsilon, weightOffset, branch, scratch };
    this.#scratch = scratch;
    const workspace = training?.embeddingWorkspace ?? null;
    this.#embedding = new PatchEmbedding(weights.embedding, embedded, tokens, workspace, embeddingScale(config));
    const shapes = layerShapes(config);
    let stream: Tensor = embedded;
    let pending: Tensor | null = null;
    this.#layers = weights.layers.map((layerWeights, index) => {
      const own = overlay<ReturnType<typeof layerSpecs>>(buffers.layers[index]!, buffers.shared);
      const { rotary: turns, window } = shapes[index]!;
      const plan = { rotary: turns && rotary[turns], window, cache: caches && caches[index]! };
      const layer = new Layer(context, plan, layerWeights, own, stream, pending);
      ({ stream, pending } = layer);
      return layer;
    });
    this.#norm = new RmsNorm(context, weights.norm, buffers.norm, stream, pending);
    this.out = this.#norm.out;
    this.hidden = [...this.#layers.map(({ input }) => input), this.out];
  }

  /** @param past positions in the caches */
  forward(past: number, watch: Watch = unwatched): void {
    watch.reads("vectors");
    watch.reads("embedding");
    this.#embedding.forward();
    watch.lap("embedding");
    this.#layers.forEach((layer, index) => {
      watch.reads(index);
      layer.forward(past);
    });
    this.#norm.forward();
    watch.lap("transformer");
  }

  /**
   * The gradient of all weights. The scratch's `dnormed` holds the gradient of `out`.
   * @param accumulate whether the products' gradients are added to, or written; the others are always added to
   */
  backward(accumulate: boolean, watch: Watch): void {
    const { dstream, dnormed } = this.#scratch!;
    watch.begins("vectors");
    this.#norm.backward(dstream, dnormed, false);
    for (const [index, layer] of [...this.#layers.entries()].reverse()) {
      watch.begins(index);
      layer.backward(accumulate);
      watch.completes(index);
    }
    watch.completes("vectors");
    watch.lap("transformer");
    watch.begins("embedding");
    this.#embedding.backward(dstream);
    watch.completes("embedding");
    watch.lap("embedding");
  }
}
