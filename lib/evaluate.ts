import { TokenDataset } from "./data/dataset.js";
import { ConfigError, DataError } from "./errors.js";
import { Tensor } from "./native.js";
import { allocate, disposeAll } from "./nn/buffers.js";
import type { Llama } from "./nn/llama.js";
import { Pass, passSpecs } from "./nn/pass.js";
import { writeRotaryTable } from "./nn/rotary_table.js";
import type { Batch } from "./nn/shape.js";
import { modelWeights } from "./nn/weights.js";

export interface EvaluateOptions {
  /** Token shards: a file, a pattern or a list. */
  readonly data: string | readonly string[];
  /** K: tokens a position stands for. Default 1. */
  readonly patchSize?: number;
  /** T: positions of a block. Default: the model's context, at most 1024. */
  readonly sequenceLength?: number;
  readonly onProgress?: (blocks: number, of: number) => void;
}

export interface EvaluationResult {
  /** Mean loss in nats a token, and e to that power. */
  readonly loss: number;
  readonly perplexity: number;
  /** Positions and tokens that were read; the first position of a block is not predicted. */
  readonly positions: number;
  readonly tokens: number;
}

/** Positions that one pass takes at most. */
const positionsPerPass = 4096;

/**
 * Mean loss over consecutive blocks of K * T tokens; a remainder is dropped.
 * @throws DataError where the data holds no block or a token the model does not know
 */
export async function evaluate(model: Llama, options: EvaluateOptions): Promise<EvaluationResult> {
  const { config, device, parameters } = model;
  const { patchSize = 1, sequenceLength = Math.min(1024, config.max_position_embeddings) } = options;
  if (sequenceLength > config.max_position_embeddings) {
    throw new ConfigError(
      `sequence length: expected at most the model's context of ${config.max_position_embeddings}, got ${sequenceLength}`,
    );
  }
  const dataset = await TokenDataset.open(options.data);
  const blockTokens = patchSize * sequenceLength;
  const blocks = Math.floor(dataset.tokenCount / blockTokens);
  if (blocks === 0) {
    await dataset.close();
    throw new DataError(
      `${dataset.shards[0]!.path}: expected at least one block of ${patchSize} x ${sequenceLength} tokens, ` +
        `found ${dataset.tokenCount} tokens`,
    );
  }
  const perPass = Math.max(1, Math.min(blocks, Math.floor(positionsPerPass / sequenceLength)));
  const batchOf = (sequences: number): Batch => ({ sequences, positions: sequenceLength, patchSize });
  const shape = { config, dtype: parameters.dtype, positions: perPass * sequenceLength };
  const buffers = allocate(device, passSpecs(device, shape, [batchOf(perPass)], false));
  const input = new Tensor(device, "i32", [perPass * blockTokens]);
  try {
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
    await dataset.close();
    await device.synchronize();
    disposeAll(buffers);
    input.dispose();
  }
}
