import { describe } from "./arguments.js";
import { TokenDataset } from "./data/dataset.js";
import { ConfigError, DataError } from "./errors.js";
import { Tensor } from "./native.js";
import { allocate, disposeAll } from "./nn/buffers.js";
import type { Llama } from "./nn/llama.js";
import { Pass, passSpecs } from "./nn/pass.js";
import { writeRotaryTable } from "./nn/rotary_table.js";
import type { Batch } from "./nn/shape.js";
import { modelWeights } from "./nn/weights.js";

/** What `evaluate` reads, and in which blocks. */
export interface EvaluateOptions {
  /** Token shards: a file, a pattern or a list. */
  readonly data: string | readonly string[];
  /** K: tokens a position stands for, at least 1. Default 1. */
  readonly patchSize?: number;
  /** T: positions of a block, from 2 to the model's context. Default: the model's context, at most 1024. */
  readonly sequenceLength?: number;
  /** Told how many blocks are done, and how many there are. */
  readonly onProgress?: (blocks: number, of: number) => void;
}

/** What `evaluate` found. */
export interface EvaluationResult {
  /** Mean loss in nats a token. */
  readonly loss: number;
  /** e to the power of the loss. */
  readonly perplexity: number;
  /** Positions that were read; the first of a block is not predicted. */
  readonly positions: number;
  /** Tokens that were read. */
  readonly tokens: number;
}

/** Positions that one pass takes at most. */
const positionsPerPass = 4096;

/**
 * Mean loss over consecutive blocks of K * T tokens; a remainder is dropped.
 * @throws ConfigError for a patch size or a sequence length that cannot be; DataError where the data cannot be read,
 *   holds no block or a token the model does not know; DeviceError, OutOfMemoryError
 */
export async function evaluate(model: Llama, options: EvaluateOptions): Promise<EvaluationResult> {
  const { config, device, parameters } = model;
  const { patchSize = 1, sequenceLength = Math.min(1024, config.max_position_embeddings) } = options;
  checkBlock(patchSize, sequenceLength, config.max_position_embeddings);
  await using dataset = await TokenDataset.open(options.data);
  const blockTokens = patchSize * sequenceLength;
  const blocks = Math.floor(dataset.tokenCount / blockTokens);
  if (blocks === 0) {
    throw new DataError(
      `${dataset.shards[0]!.path}: expected at least one block of ${patchSize} x ${sequenceLength} tokens ` +
        `but received ${dataset.tokenCount} tokens`,
    );
  }
  const perPass = Math.max(1, Math.min(blocks, Math.floor(positionsPerPass / sequenceLength)));
  const batchOf = (sequences: number): Batch => ({ sequences, positions: sequenceLength, patchSize });
  const shape = { config, dtype: parameters.dtype, positions: perPass * sequenceLength };
  const buffers = allocate(device, passSpecs(device, shape, [batchOf(perPass)], false));
  try {
    using input = new Tensor(device, "i32", [perPass * blockTokens]);
    writeRotaryTable(buffers.rotaryTable, config);
    const weights = modelWeights(parameters, null);
    const labelWeights = Array.from({ length: patchSize }, () => 1 / patchSize);
    const pass = (sequences: number) => new Pass(shape, batchOf(sequences), weights, buffers, labelWeights, false);
    const whole = pass(perPass);
    const tokens = new Int32Array(perPass * blockTokens);
    let sum = 0;
    for (let block = 0; block < blocks; block += perPass) {
      const count = Math.min(perPass, blocks - block);
      const part = tokens.subarray(0, count * blockTokens);
      await dataset.read(block * blockTokens, part);
      dataset.checkVocabulary(part, block * blockTokens, config.vocab_size);
      const onDevice = input.narrow(0, 0, part.length);
      onDevice.write(part);
      const current = count === perPass ? whole : pass(count);
      current.forward(onDevice, false);
      const [loss] = await current.loss.read();
      sum += loss! * count;
      options.onProgress?.(block + count, blocks);
    }
    const loss = sum / blocks;
    return { loss, perplexity: Math.exp(loss), positions: blocks * sequenceLength, tokens: blocks * blockTokens };
  } finally {
    await device.synchronize();
    disposeAll(buffers);
  }
}

function checkBlock(patchSize: number, sequenceLength: number, context: number): void {
  if (!Number.isSafeInteger(patchSize) || patchSize < 1) {
    throw new ConfigError(
      `evaluate: patchSize: expected a whole number of at least 1 but received ${describe(patchSize)}`,
    );
  }
  // Of a single position nothing is predicted.
  if (!Number.isSafeInteger(sequenceLength) || sequenceLength < 2 || sequenceLength > context) {
    throw new ConfigError(
      `evaluate: sequenceLength: expected a whole number from 2 to the model's context of ${context} ` +
        `but received ${describe(sequenceLength)}`,
    );
  }
}
