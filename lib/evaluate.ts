import { Arguments } from "./arguments.js";
import { checkPatterns, type ShardPattern } from "./data/dataset.js";
import { DataError } from "./errors.js";
import { openData } from "./evaluate/open_data.js";
import { Tensor } from "./native.js";
import { BlockLoss, blockBatches, blockRanges, blocksPerPass } from "./nn/block_loss.js";
import { checkModel, type Llama } from "./nn/llama.js";
import { PassMemory, passSpecs } from "./nn/pass_memory.js";
import { modelWeights } from "./nn/weights.js";

/** Options of `evaluate`: what it reads, and in which blocks. */
export interface EvaluateOptions {
  /** Token shards: a file, a pattern, or a list of them or of shards in another format. */
  readonly data: string | readonly string[] | readonly ShardPattern[];
  /** K: tokens per position, at least 1. Default 1. */
  readonly patchSize?: number;
  /** T: positions of a block, from 2 to the model's context. Default: the model's context, at most 1024. */
  readonly sequenceLength?: number;
  /**
   * Read every byte of the data first, and compare it with the hashes in `dataset.json`, or where there are none, check
   * that every token is in the model's vocabulary. Default false: sizes and counts are compared.
   */
  readonly verifyData?: boolean;
  /** Called with messages for the user: what is not known of the data. */
  readonly log?: (message: string) => void;
  /** Called with the number of blocks done and the total. */
  readonly onProgress?: (blocks: number, of: number) => void;
}

/** The result of `evaluate`. */
export interface EvaluationResult {
  /** Mean loss in nats per token. */
  readonly loss: number;
  /** e to the power of the loss. */
  readonly perplexity: number;
  /** Positions read; the first of each block is not predicted. */
  readonly positions: number;
  /** Tokens read. */
  readonly tokens: number;
}

/** The most positions of one pass. */
const positionsPerPass = 4096;

/**
 * Mean loss over consecutive blocks of K * T tokens; a remainder is dropped.
 * @throws TypeError or RangeError for a wrong argument; DataError if the data cannot be read, is not what the files
 *   beside it say, is of another tokenizer or a larger vocabulary than the model, holds no whole block, or holds a token
 *   outside the model's vocabulary; DeviceError, OutOfMemoryError
 */
export async function evaluate(model: Llama, options: EvaluateOptions): Promise<EvaluationResult> {
  const { data, patchSize, sequenceLength, verifyData, log, onProgress } = check(model, options);
  const { config, device, parameters } = model;
  await using dataset = await openData(model, data, verifyData, log);
  const blockTokens = patchSize * sequenceLength;
  const blocks = Math.floor(dataset.tokenCount / blockTokens);
  if (blocks === 0) {
    throw new DataError(
      `${dataset.shards[0]!.path}: expected at least one block of ${patchSize} x ${sequenceLength} tokens ` +
        `but received ${dataset.tokenCount} tokens`,
    );
  }
  const perPass = Math.min(blocks, blocksPerPass(sequenceLength, positionsPerPass));
  const batches = blockBatches({ sequences: blocks, positions: sequenceLength, patchSize }, perPass);
  const shape = { config, dtype: parameters.dtype, positions: perPass * sequenceLength, recompute: null };
  const memory = new PassMemory(device, shape, passSpecs(device, shape, batches, false));
  try {
    using input = new Tensor(device, "i32", [perPass * blockTokens]);
    const weights = modelWeights(parameters, null);
    const losses = new Map(
      batches.map((batch) => {
        const tokens = input.narrow(0, 0, batch.sequences * blockTokens);
        return [batch.sequences, { tokens, mean: new BlockLoss(memory, weights, batch, perPass, tokens) }];
      }),
    );
    const read = new Int32Array(perPass * blockTokens);
    let sum = 0;
    for (const { start, count } of blockRanges(blocks, perPass)) {
      const part = read.subarray(0, count * blockTokens);
      await dataset.read(start * blockTokens, part);
      dataset.checkVocabulary(part, start * blockTokens, config.vocab_size);
      const { tokens, mean } = losses.get(count)!;
      tokens.write(part);
      sum += (await mean.compute()) * count;
      onProgress?.(start + count, blocks);
    }
    const loss = sum / blocks;
    return { loss, perplexity: Math.exp(loss), positions: blocks * sequenceLength, tokens: blocks * blockTokens };
  } finally {
    await device.synchronize();
    memory.dispose();
  }
}

/** The options with their defaults, before anything is opened. */
function check(model: Llama, options: EvaluateOptions) {
  const check = new Arguments("evaluate");
  checkModel(check, model);
  const context = model.config.max_position_embeddings;
  const {
    data,
    patchSize = 1,
    sequenceLength = Math.min(1024, context),
    verifyData = false,
    log = () => undefined,
    onProgress,
  } = check.object("options", options);
  checkPatterns(check, "data", data);
  check.wholeNumber("patchSize", patchSize, 1);
  // With a single position, nothing is predicted.
  const fits = (length: number) => Number.isSafeInteger(length) && length >= 2 && length <= context;
  const expected = `a whole number from 2 to the model's context of ${context}`;
  check.number("sequenceLength", sequenceLength, expected, fits);
  check.boolean("verifyData", verifyData);
  check.callback("log", log);
  check.callback("onProgress", onProgress);
  return { data, patchSize, sequenceLength, verifyData, log, onProgress };
}
