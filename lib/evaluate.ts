import { Arguments } from "./arguments.js";
import { bitsPerByte } from "./data/bits_per_byte.js";
import { checkDataOptions, type DataOptions, noLabels, openData, wholeBlocks } from "./evaluate/open_data.js";
import { Tensor } from "./native.js";
import { BlockLoss, blockBatches, blockRanges, blocksPerPass } from "./nn/block_loss.js";
import { allLabels, countLabels, labelIds } from "./nn/label_mask.js";
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
  /** Labels that the loss is a mean over, if the data has a loss mask; without one, all labels are. */
  readonly labels?: number;
}

/** The most positions of one pass. */
const positionsPerPass = 4096;

/**
 * Mean loss over consecutive blocks of K * T tokens; a remainder is dropped. If the data has a loss mask, it is the mean
 * over the labels that count.
 * @throws TypeError or RangeError for a wrong argument; DataError if the data cannot be read, is not what the files
 *   beside it say, is of another tokenizer or a larger vocabulary than the model, holds no whole block or no label
 *   that counts, or holds a token outside the model's vocabulary; DeviceError, OutOfMemoryError
 *
 * @example
 * ```ts
 * import { evaluate, Llama } from "nextpatch";
 *
 * using model = await Llama.load("runs/mine/model");
 * const { loss, perplexity } = await evaluate(model, { data: "data/mine/val_*.bin", sequenceLength: 32 });
 * console.log(`${loss} nats per token, perplexity ${perplexity}`);
 * ```
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
  const ownBlocks = end - begin;
  const perPass = Math.max(1, Math.min(ownBlocks, blocksPerPass(sequenceLength, positionsPerPass)));
  const batches = blockBatches({ sequences: Math.max(1, ownBlocks), positions: sequenceLength, patchSize }, perPass);
  const shape = { config, dtype: parameters.dtype, positions: perPass * sequenceLength, recompute: null };
  const memory = new PassMemory(device, shape, passSpecs(device, shape, batches, false));
  try {
    using input = new Tensor(device, "i32", [perPass * blockTokens]);
    using ids = dataset.masked ? new Tensor(device, "i32", [perPass * blockTokens]) : null;
    const weights = modelWeights(parameters, null);
    const losses = new Map(
      batches.map((batch) => {
        const tokens = input.narrow(0, 0, batch.sequences * blockTokens);
        const labels = ids && { ids: ids.narrow(0, 0, tokens.size), scale: 1 };
        const mean = new BlockLoss(memory, weights, batch, perPass, tokens, batch.sequences, labels);
        return [batch.sequences, { batch, tokens, labels, mean }];
      }),
    );
    const read = new Int32Array(perPass * blockTokens);
    const mask = new Uint8Array(ids === null ? 0 : read.length);
    const labelsOfBlock = allLabels({ sequences: 1, positions: sequenceLength, patchSize });
    const own = { loss: 0, labels: 0 };
    for (const { start, count } of blockRanges(ownBlocks, perPass)) {
      signal?.throwIfAborted();
      const part = read.subarray(0, count * blockTokens);
      const place = (begin + start) * blockTokens;
      await dataset.read(place, part);
      dataset.checkVocabulary(part, place, config.vocab_size);
      const { batch, tokens, labels, mean } = losses.get(count)!;
      tokens.write(part);
      let counted = count * labelsOfBlock;
      if (labels !== null) {
        const ofPart = mask.subarray(0, part.length);
        await dataset.readMask(place, ofPart);
        ({ labels: counted, scale: labels.scale } = countLabels(ofPart, batch));
        labels.ids.write(labelIds(part, ofPart));
      }
      own.loss += (await mean.compute()) * (counted / labelsOfBlock);
      own.labels += counted;
      onProgress?.(Math.min(blocks, (start + count) * share.size), blocks);
    }
    const labels = ids === null ? blocks * labelsOfBlock : await total(own.labels);
    if (labels === 0) throw noLabels(dataset, blocks);
    const loss = (await total(own.loss)) / (labels / labelsOfBlock);
    const perByte = patchSize === 1 ? opened.tokensPerByte : null;
    return {
      loss,
      perplexity: Math.exp(loss),
      ...(perByte !== null && { bitsPerByte: bitsPerByte(loss, perByte) }),
      positions: blocks * sequenceLength,
      tokens: blocks * blockTokens,
      ...(ids !== null && { labels }),
    };
  } finally {
    await device.synchronize();
    memory.dispose();
  }
}
