import { type Device, native, type Tensor } from "../native.js";
import { type Allocated, reuse, Spec } from "./buffers.js";
import { Layer, layerSpecs, type Scratch, scratchSpecs } from "./layer.js";
import { chunkRows, LossHead, lossHeadSpecs } from "./loss_head.js";
import { PatchEmbedding } from "./patch_embedding.js";
import { RmsNorm, rmsNormSpecs } from "./rms_norm.js";
import type { Batch, PassShape } from "./shape.js";
import type { ModelWeights } from "./weights.js";

/**
 * The buffers that all passes of a run share: as many positions cost the same memory, whatever a position stands for.
 * @param batches the ways the positions will be cut, largest K and T included
 * @param training whether there is a backward
 */
export function passSpecs(device: Device, shape: PassShape, batches: readonly Batch[], training: boolean) {
  const { config, dtype, positions } = shape;
  const patchSize = Math.max(...batches.map((batch) => batch.patchSize));
  const { num_attention_heads: heads, num_key_value_heads: kvHeads, head_dim: headDim, hidden_size: hidden } = config;
  const attentionWorkspace = (b: Batch) =>
    native.attentionBackwardWorkspace(device, b.sequences, b.positions, b.positions, heads, kvHeads, headDim);
  const sizes = {
    attention: Math.max(...batches.map(attentionWorkspace)),
    norm: native.rmsNormBackwardWorkspace(device, positions, hidden),
  };
  const embeddingWorkspace = native.patchEmbeddingBackwardWorkspace(device, positions * patchSize, config.vocab_size);
  return {
    tokens: new Spec("i32", [positions * patchSize]),
    rotaryTable: new Spec("f32", [Math.max(...batches.map((batch) => batch.positions)), headDim / 2, 2]),
    embedded: new Spec(dtype, [positions, hidden]),
    branch: new Spec(dtype, [positions, hidden]),
    layers: Array.from({ length: config.num_hidden_layers }, (_, index) => layerSpecs(shape, index)),
    norm: rmsNormSpecs(shape, true),
    head: lossHeadSpecs(shape, chunkRows(shape, device.backend), patchSize),
    scratch: training ? scratchSpecs(shape, sizes) : null,
    embeddingWorkspace: training ? new Spec("i32", [embeddingWorkspace]) : null,
  };
}

/** Tensors of a `passSpecs` tree. */
export type PassBuffers = Allocated<ReturnType<typeof passSpecs>>;

type Lap = (part: "embedding" | "transformer" | "head") => void;

/** One forward (and backward) over a micro-batch, wired once over buffers that other passes use too. */
export class Pass {
  readonly #tokens: Tensor<"i32">;
  readonly #embedding: PatchEmbedding;
  readonly #layers: readonly Layer[];
  readonly #norm: RmsNorm;
  readonly #head: LossHead;
  readonly #scratch: Scratch | null;

  /**
   * @param buffers made for this batch or for more positions
   * @param labelWeights K weights, in sum the share that this pass has in the loss of a step
   * @param training whether `backward` will be called
   */
  constructor(
    shape: PassShape,
    batch: Batch,
    weights: ModelWeights,
    buffers: PassBuffers,
    labelWeights: readonly number[],
    training: boolean,
  ) {
    const own = { ...shape, positions: batch.sequences * batch.positions };
    const used = reuse(buffers, passSpecs(buffers.tokens.device, own, [batch], training));
    const scratch = used.scratch;
    this.#scratch = scratch;
    this.#tokens = used.tokens;
    this.#embedding = new PatchEmbedding(weights.embedding, used.embedded, this.#tokens, used.embeddingWorkspace);
    let stream: Tensor = used.embedded;
    this.#layers = weights.layers.map((layerWeights, index) => {
      const pending = index > 0 ? used.branch : null;
      const layer = new Layer(
        own,
        batch,
        layerWeights,
        used.layers[index]!,
        scratch,
        used.rotaryTable,
        stream,
        pending,
        used.branch,
      );
      stream = layer.stream;
      return layer;
    });
    const epsilon = shape.config.rms_norm_eps;
    this.#norm = new RmsNorm(weights.norm, epsilon, used.norm, stream, used.branch, scratch?.normWorkspace ?? null);
    const dhidden = scratch?.dnormed ?? null;
    this.#head = new LossHead(batch, weights.head, used.head, this.#norm.out, dhidden, this.#tokens, labelWeights);
  }

  /** f32 [1]: the loss in nats a token. */
  get loss(): Tensor<"f32"> {
    return this.#head.loss;
  }

  /**
   * The loss of a micro-batch, added to that of the passes before it if `accumulate`.
   * @param tokens i32 [sequences * positions * patchSize], on the device
   * @param lap told when the operations of a part have been enqueued
   */
  forward(tokens: Tensor<"i32">, accumulate: boolean, lap: Lap = () => undefined): void {
    native.copy(this.#tokens, tokens);
    this.#embedding.forward();
    lap("embedding");
    for (const layer of this.#layers) layer.forward();
    this.#norm.forward();
    lap("transformer");
    this.#head.forward(accumulate);
    lap("head");
  }

  /** Adds the micro-batch's gradient to that of the weights. */
  backward(lap: Lap = () => undefined): void {
    const { dstream, dnormed } = this.#scratch!;
    this.#norm.backward(dstream, dnormed, false);
    for (const layer of [...this.#layers].reverse()) layer.backward();
    lap("transformer");
    this.#embedding.backward(dstream);
    lap("embedding");
  }
}
