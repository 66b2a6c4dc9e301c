import { architectureOf, biasesOf } from "../hf/architectures.js";
import type { BackendName, Device, Tensor } from "../native.js";
import { native } from "../native.js";
import { type Allocated, allocate, disposeAll, Spec } from "./buffers.js";
import { scratchSpecs } from "./layer_context.js";
import { chunkRows, lossHeadSpecs } from "./loss_head.js";
import { RotaryEmbeddings, rotaryTableSpecs } from "./rotary_embedding.js";
import { type Batch, type PassShape, widths } from "./shape.js";
import { transformerSpecs } from "./transformer.js";

/** Elements of the workspaces whose sizes are a backend's own. */
export interface PassWorkspaces {
  readonly attention: number;
  /** For sums over rows. */
  readonly rows: number;
  readonly embedding: number;
}

/**
 * The buffers that passes share: the same number of positions costs the same memory at any patch size.
 * @param batches one for each pass: how it cuts the positions
 * @param training whether there is a backward
 */
export function passSpecs(device: Device, shape: PassShape, batches: readonly Batch[], training: boolean) {
  return specsWith(device.backend, workspacesOf(device, shape, batches), shape, batches, training);
}

/** The same for a device that is not there. */
export function specsWith(
  backend: BackendName,
  workspaces: PassWorkspaces,
  shape: PassShape,
  batches: readonly Batch[],
  training: boolean,
) {
  const patchSize = Math.max(...batches.map((batch) => batch.patchSize));
  return {
    tokens: new Spec("i32", [shape.positions * patchSize]),
    rotaryTables: rotaryTableSpecs(shape.config, Math.max(...batches.map((batch) => batch.positions))),
    /** The only buffer that passes do not share: a row for each. */
    labelWeights: new Spec("f32", [batches.length, patchSize]),
    ...transformerSpecs(shape),
    head: lossHeadSpecs(shape, chunkRows(shape, backend), patchSize),
    scratch: training ? scratchSpecs(shape, workspaces) : null,
    embeddingWorkspace: training ? new Spec("i32", [workspaces.embedding]) : null,
  };
}

/** What a device needs for passes with these batches. */
export function workspacesOf(device: Device, shape: PassShape, batches: readonly Batch[]): PassWorkspaces {
  const { config, positions } = shape;
  const { num_attention_heads: heads, num_key_value_heads: kvHeads, head_dim: headDim } = config;
  const attention = (b: Batch) =>
    native.attentionBackwardWorkspace(device, b.sequences, b.positions, b.positions, heads, kvHeads, headDim);
  const tokens = positions * Math.max(...batches.map((batch) => batch.patchSize));
  return {
    attention: Math.max(...batches.map(attention)),
    rows: rowWorkspace(device, shape),
    embedding: native.patchEmbeddingBackwardWorkspace(device, tokens, config.vocab_size),
  };
}

/** Elements for the largest of the sums over rows: gradients of norms' weights and of biases. */
function rowWorkspace(device: Device, { config, positions }: PassShape): number {
  const { hidden, intermediate, qkv } = widths(config);
  const { num_attention_heads: heads, head_dim: headDim } = config;
  const biases = biasesOf(config);
  const biased = [biases.qkv ? qkv : 0, biases.output ? hidden : 0, biases.mlp ? 2 * intermediate : 0];
  return Math.max(
    native.rmsNormBackwardWorkspace(device, positions, hidden),
    ...(architectureOf(config).qkNorm === null
      ? []
      : [native.qkNormBackwardWorkspace(device, positions, heads, headDim)]),
    ...biased.filter((width) => width > 0).map((width) => native.biasBackwardWorkspace(device, positions, width)),
  );
}

export type PassSpecs = ReturnType<typeof passSpecs>;

/** The memory of passes over a model, including what is written once. */
export class PassMemory {
  readonly buffers: Allocated<PassSpecs>;
  readonly rotary: RotaryEmbeddings;
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
      this.rotary = new RotaryEmbeddings(this.buffers.rotaryTables, shape.config);
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
