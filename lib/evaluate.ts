import { Arguments } from "./arguments.js";
import { bitsPerByte } from "./data/bits_per_byte.js";
import { checkDataOptions, type DataOptions, openData, wholeBlocks } from "./evaluate/open_data.js";
import { Tensor } from "./native.js";
import { BlockLoss, blockBatches, blockRanges, blocksPerPass } from "./nn/block_loss.js";
import type { Llama } from "./nn/llama.js";
import { PassMemory, passSpecs } from "./nn/pass_memory.js";
import { alone, ownRange, type RankShare } from "./nn/sharding.js";
import { modelWeights } from "./nn/weights.js";

/** Options of `evaluate`: what it reads, and in which blocks of at least 2 positions. */
export type EvaluateOptions = DataOptions;

/** The result of `evaluate`. */
export interface EvaluationResult {
  /** Mean loss in nats per token. */
  readonly loss: number;
  /** e to the power of the loss. */
  readonly perplexity: number;
  /** Of the loss; absent for patches, and where no dataset.json beside the shards counts the text's bytes. */
  readonly bitsPerByte?: number;
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
  return evaluateTogether(model, options, alone, async (sum) => sum);
}

/**
 * The same by several ranks, each of which reads its part of the blocks.
 * @param total sums a number over the ranks
 */
export async function evaluateTogether(
  model: Llama,
  options: EvaluateOptions,
  share: RankShare,
  total: (sum: number) => Promise<number>,
): Promise<EvaluationResult> {
  // With a single position, nothing is predicted.
  const checked = checkDataOptions(new Arguments("evaluate"), model, options, 2);
  const { patchSize, sequenceLength, onProgress, signal } = checked;
  const { config, device, parameters } = model;
  await using opened = await openData(model, checked);
  const { dataset } = opened;
  const blockTokens = patchSize * sequenceLength;
  const blocks = wholeBlocks(dataset, patchSize, sequenceLength);
  const { begin, end } = ownRange(blocks, share);
  const own = end - begin;
  const perPass = Math.max(1, Math.min(own, blocksPerPass(sequenceLength, positionsPerPass)));
  const batches = blockBatches({ sequences: Math.max(1, own), positions: sequenceLength, patchSize }, perPass);
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
    for (const { start, count } of blockRanges(own, perPass)) {
      signal?.throwIfAborted();
      const part = read.subarray(0, count * blockTokens);
      const place = (begin + start) * blockTokens;
      await dataset.read(place, part);
      dataset.checkVocabulary(part, place, config.vocab_size);
      const { tokens, mean } = losses.get(count)!;
      tokens.write(part);
      sum += (await mean.compute()) * count;
      onProgress?.(Math.min(blocks, (start + count) * share.size), blocks);
    }
    const loss = (await total(sum)) / blocks;
    const perByte = patchSize === 1 ? opened.tokensPerByte : null;
    return {
      loss,
      perplexity: Math.exp(loss),
      ...(perByte !== null && { bitsPerByte: bitsPerByte(loss, perByte) }),
      positions: blocks * sequenceLength,
      tokens: blocks * blockTokens,
    };
  } finally {
    await device.synchronize();
    memory.dispose();
  }
}
