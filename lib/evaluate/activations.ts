import { Arguments } from "../arguments.js";
import { checkPatterns, type ShardPattern } from "../data/dataset.js";
import { DataError } from "../errors.js";
import { ActivationPass } from "../nn/activation_pass.js";
import { checkModel, type Llama } from "../nn/llama.js";
import { openData } from "./open_data.js";

/** Options of `activations`. */
export interface ActivationOptions {
  /** Token shards: a file, a pattern, or a list of them or of shards in another format. */
  readonly data: string | readonly string[] | readonly ShardPattern[];
  /** K: tokens per position, at least 1. Default 1. */
  readonly patchSize?: number;
  /** T: positions of a block, up to the model's context. Default: the model's context, at most 1024. */
  readonly sequenceLength?: number;
  /** Blocks to read, from the start of the data: fewer if it holds fewer. Default 64. */
  readonly sequences?: number;
  /** Read every byte of the data first, and compare it with the hashes in `dataset.json`. Default false. */
  readonly verifyData?: boolean;
  /** How far from 0 an active neuron's value is. Default 0.5. */
  readonly threshold?: number;
  /** Called with what is to be said of the data. */
  readonly log?: (message: string) => void;
  /** Called with the number of blocks done and the total. */
  readonly onProgress?: (blocks: number, of: number) => void;
}

/** The result of `activations`. */
export interface Activations {
  /** From the first layer on: the share of neurons of its MLP that are active, over all positions. */
  readonly layers: readonly { readonly active: number }[];
  readonly threshold: number;
  readonly patchSize: number;
}

/**
 * How many neurons of each layer's MLP are active at a position, at any patch size (docs/evaluation.md).
 * @throws TypeError or RangeError for a wrong argument; DataError as `evaluate`; DeviceError, OutOfMemoryError
 */
export async function activations(model: Llama, options: ActivationOptions): Promise<Activations> {
  const { data, patchSize, sequenceLength, sequences, threshold, verifyData, log, onProgress } = checked(
    model,
    options,
  );
  const { config, device } = model;
  await using dataset = await openData(model, data, verifyData, log);
  const block = new Int32Array(patchSize * sequenceLength);
  const blocks = Math.min(sequences, Math.floor(dataset.tokenCount / block.length));
  if (blocks === 0) {
    throw new DataError(
      `${dataset.shards[0]!.path}: expected at least one block of ${patchSize} x ${sequenceLength} tokens ` +
        `but received ${dataset.tokenCount} tokens`,
    );
  }
  const counts = new Array<number>(config.num_hidden_layers).fill(0);
  const pass = new ActivationPass(model, { sequences: 1, positions: sequenceLength, patchSize });
  try {
    for (let index = 0; index < blocks; index++) {
      await dataset.read(index * block.length, block);
      dataset.checkVocabulary(block, index * block.length, config.vocab_size);
      for (const [layer, count] of (await pass.count(block, threshold)).entries()) counts[layer]! += count;
      onProgress?.(index + 1, blocks);
    }
  } finally {
    await device.synchronize();
    pass.dispose();
  }
  const neurons = blocks * sequenceLength * config.intermediate_size;
  return { layers: counts.map((count) => ({ active: count / neurons })), threshold, patchSize };
}

function checked(model: Llama, options: ActivationOptions) {
  const check = new Arguments("activations");
  checkModel(check, model);
  const context = model.config.max_position_embeddings;
  const {
    data,
    patchSize = 1,
    sequenceLength = Math.min(1024, context),
    sequences = 64,
    threshold = 0.5,
    verifyData = false,
    log = () => undefined,
    onProgress,
  } = check.object("options", options);
  checkPatterns(check, "data", data);
  check.wholeNumber("patchSize", patchSize, 1);
  check.wholeNumber("sequenceLength", sequenceLength, 1, context);
  check.wholeNumber("sequences", sequences, 1);
  check.number("threshold", threshold, "a number of at least 0", (value) => value >= 0 && Number.isFinite(value));
  check.boolean("verifyData", verifyData);
  check.callback("log", log);
  check.callback("onProgress", onProgress);
  return { data, patchSize, sequenceLength, sequences, threshold, verifyData, log, onProgress };
}
