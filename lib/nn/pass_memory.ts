import type { Device, Tensor } from "../native.js";
import { native } from "../native.js";
import { type Allocated, allocate, disposeAll, Spec } from "./buffers.js";
import { scratchSpecs } from "./layer_context.js";
import { chunkRows, lossHeadSpecs } from "./loss_head.js";
import { RotaryEmbedding, rotaryTableSpec } from "./rotary_embedding.js";
import type { Batch, PassShape } from "./shape.js";
import { transformerSpecs } from "./transformer.js";

/**
 * The buffers that passes share: the same number of positions costs the same memory at any patch size.
 * @param batches one for each pass: how it cuts the positions
 * @param training whether there is a backward
 */
export function passSpecs(device: Device, shape: PassShape, batches: readonly Batch[], training: boolean) {
  const { config, positions } = shape;
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
    rotaryTable: rotaryTableSpec(config, Math.max(...batches.map((batch) => batch.positions))),
    /** The only buffer that passes do not share: a row for each. */
    labelWeights: new Spec("f32", [batches.length, patchSize]),
    ...transformerSpecs(shape),
    head: lossHeadSpecs(shape, chunkRows(shape, device.backend), patchSize),
    scratch: training ? scratchSpecs(shape, sizes) : null,
    embeddingWorkspace: training ? new Spec("i32", [embeddingWorkspace]) : null,
  };
}

export type PassSpecs = ReturnType<typeof passSpecs>;

/** The memory of passes over a model, including what is written once. */
export class PassMemory {
  readonly buffers: Allocated<PassSpecs>;
  readonly rotary: RotaryEmbedding;
  #passes = 0;

  /**
   * Allocates the memory.
   * @param specs from `passSpecs` for `shape`
   * @throws OutOfMemoryError
   */
  constructor(
    readonly device: Device,
    readonly shape: PassShape,
    specs: PassSpecs,
  ) {
    this.buffers = allocate(device, specs);
    try {
      this.rotary = new RotaryEmbedding(this.buffers.rotaryTable, shape.config);
    } catch (error) {
      this.dispose();
      throw error;
    }
  }

  /** f32 [K]: the label weights of one more pass; at most as many passes as `batches` had entries. */
  labelWeights(values: readonly number[]): Tensor<"f32"> {
    const { labelWeights } = this.buffers;
    const row = labelWeights.narrow(0, this.#passes++, 1).reshape([labelWeights.shape[1]!]);
    const weights = row.narrow(0, 0, values.length);
    weights.write(Float32Array.from(values));
    return weights;
  }

  /** Frees the memory; passes over it can no longer be used. */
  dispose(): void {
    disposeAll(this.buffers);
  }

  /** `dispose()`, for `using`. */
  [Symbol.dispose](): void {
    this.dispose();
  }
}
