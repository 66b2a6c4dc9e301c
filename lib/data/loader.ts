/**
 * Training blocks from a token dataset, shuffled, prefetched, and resumable at any block.
 *
 * The order of the data does not depend on the stage. The dataset is cut into consecutive UNITS of `unitTokens`
 * (the longest block of any stage, K * sequenceLength tokens at its K); an epoch visits every unit once, in an order
 * that depends only on (seed, epoch); tokens after the last whole unit are left out. A stage reads blocks of
 * `blockTokens`, which divides the unit, so a stage with shorter blocks reads a unit's blocks one after another.
 *
 * A mix of several datasets takes each unit from one of them, in proportion to their weights (mix.ts). Each has an order
 * of its own and begins anew when it is through; the mix itself has no end.
 *
 * The position counts the tokens consumed in that order. The next stage therefore continues with fresh data where the
 * last one ended. If that is inside one of its longer blocks, the rest of that block is skipped: the position is
 * rounded up to a whole block.
 */
import { setImmediate } from "node:timers/promises";
import { Arguments, describe } from "../arguments.js";
import { DataError } from "../errors.js";
import { TokenDataset } from "./dataset.js";
import { Mix } from "./mix.js";
import { Permutation } from "./permutation.js";

/** The most tokens of a batch. */
const largestBatch = 2 ** 31 - 1;

/** Where a loader is in its data: whole epochs done, and tokens consumed of the current one. Plain JSON. */
export interface DataPosition {
  /** Always 0 in a mix. */
  epoch: number;
  tokens: number;
  /** Of a mix: whole units consumed of each dataset. */
  taken?: readonly number[];
}

/** A dataset of a mix. */
export interface WeightedDataset {
  readonly dataset: TokenDataset;
  /** Above 0; the share is the weight over the sum of all. */
  readonly weight: number;
}

/** What a stage reads, and in which order. */
export interface BlockLoaderOptions {
  /** A dataset, or a mix of several. Not closed by the loader: the opener closes it, after the loader. */
  dataset: TokenDataset | readonly WeightedDataset[];
  /** Tokens per block in this stage: patchSize * sequenceLength. Must divide `unitTokens`. */
  blockTokens: number;
  /** Tokens that are shuffled as one unit: the largest `blockTokens` of all stages. */
  unitTokens: number;
  /** A token id at or above this is an error. */
  vocabSize: number;
  /** Determines, with the epoch, the order of the units. An integer. */
  seed: number;
  /** Where to resume; without it, from the start. */
  position?: DataPosition;
}

/** A dataset, and the order of its units in the current epoch. */
interface Corpus {
  readonly dataset: TokenDataset;
  readonly units: number;
  /** What chooses the order, besides the epoch. */
  readonly keys: readonly number[];
  order?: { readonly epoch: number; readonly permutation: Permutation };
}

interface Batch {
  tokens: Int32Array;
  next: DataPosition;
}

/**
 * The blocks of a stage, in an order that depends only on dataset, seed and unit; one batch is read ahead.
 *
 * @example
 * ```ts
 * import { BlockLoader, TokenDataset } from "nextpatch";
 *
 * await using dataset = await TokenDataset.open("data/mine/train_*.bin");
 * await using loader = new BlockLoader({ dataset, blockTokens: 32, unitTokens: 128, vocabSize: 4096, seed: 1 });
 * const tokens = await loader.next(4); // Int32Array of 4 blocks of 32 tokens
 * console.log(tokens.length, loader.position); // where another loader can go on
 * ```
 */
export class BlockLoader {
  /** Tokens of a block. */
  readonly blockTokens: number;
  /** Tokens an epoch consumes: the dataset's, less those after its last whole unit. Infinity for a mix. */
  readonly tokensPerEpoch: number;
  readonly #corpora: readonly Corpus[];
  /** Null: a single dataset. */
  readonly #mix: Mix | null;
  readonly #unitTokens: number;
  readonly #vocabSize: number;
  #position: DataPosition;
  /** Of the batches that were read. */
  readonly #masks = new WeakMap<Int32Array, Uint8Array | null>();
  /** Whether tokens of any dataset do not count in the loss. */
  readonly #masked: boolean;
  #prefetched: { count: number; batch: Promise<Batch> } | undefined;
  /** What a call of `next` waits for. */
  #reading: Promise<Batch> | null = null;
  #closed = false;

  /**
   * @throws TypeError or RangeError for a wrong option; DataError for too few tokens, or for a position in other data
   */
  constructor(options: BlockLoaderOptions) {
    const check = new Arguments("BlockLoader");
    const { dataset, blockTokens, unitTokens, vocabSize, seed, position } = check.options("options", options, [
      "dataset",
      "blockTokens",
      "unitTokens",
      "vocabSize",
      "seed",
      "position",
    ]);
    const mixed = Array.isArray(dataset) ? checkMix(check, dataset as readonly WeightedDataset[]) : null;
    if (mixed === null) check.instance("dataset", dataset, TokenDataset);
    check.wholeNumber("unitTokens", unitTokens, 1);
    const divides = (tokens: number) => Number.isInteger(tokens) && tokens >= 1 && unitTokens % tokens === 0;
    check.number("blockTokens", blockTokens, `a divisor of unitTokens, which is ${unitTokens},`, divides);
    check.wholeNumber("vocabSize", vocabSize, 1);
    check.number("seed", seed, "a whole number", Number.isSafeInteger);
    if (position !== undefined) {
      const { epoch, tokens } = check.options("position", position, ["epoch", "tokens", "taken"]);
      check.wholeNumber("position.epoch", epoch, 0);
      check.wholeNumber("position.tokens", tokens, 0);
      if (position.taken !== undefined) checkTaken(check, position.taken);
    }
    const datasets = mixed?.map((entry) => entry.dataset) ?? [dataset as TokenDataset];
    this.#corpora = datasets.map((each, index) => {
      const units = Math.floor(each.tokenCount / unitTokens);
      if (units > 0) return { dataset: each, units, keys: mixed === null ? [seed] : [seed, index] };
      throw new DataError(
        `${each.shards[0]!.path}: expected at least one block of ${unitTokens} tokens ` +
          `but received ${each.tokenCount} tokens`,
      );
    });
    this.#masked = datasets.some(({ masked }) => masked);
    this.blockTokens = blockTokens;
    this.tokensPerEpoch = mixed === null ? this.#corpora[0]!.units * unitTokens : Number.POSITIVE_INFINITY;
    this.#mix = mixed && new Mix(mixed.map(({ weight }) => weight));
    this.#unitTokens = unitTokens;
    this.#vocabSize = vocabSize;
    this.#position = this.#startAt(position ?? { epoch: 0, tokens: 0 });
  }

  /** Position after the last batch that `next` returned; blocks read ahead do not count. */
  get position(): DataPosition {
    return { ...this.#position };
  }

  /** The batch that `next` will probably return next, as a promise; it does not count as returned. */
  get ahead(): Promise<Int32Array> | null {
    return this.#prefetched?.batch.then(({ tokens }) => tokens) ?? null;
  }

  /**
   * The loss mask of a batch that `next` returned, or that `ahead` will return.
   * @returns a byte a token, 1: it counts in the loss as a label, else 0; null: all count, as no dataset has a mask
   * @throws TypeError for an array that is not a batch of this loader
   */
  maskOf(tokens: Int32Array): Uint8Array | null {
    const mask = this.#masks.get(tokens);
    if (mask !== undefined) return mask;
    return new Arguments("BlockLoader.maskOf").fail(TypeError, "tokens", "a batch of this loader", describe(tokens));
  }

  /**
   * The next `count` blocks, one after another: count * blockTokens token ids. It may cross the end of an epoch.
   * Meanwhile the following batch, assumed to have the same count, is read in the background. One call at a time.
   * @throws TypeError or RangeError for a count that is not a whole number of at least 1
   * @throws TypeError if the loader is closed, also if `close` is called meanwhile, or if another call has not ended
   * @throws DataError for a token id outside the vocabulary; the position then stays before the failed batch
   */
  async next(count: number): Promise<Int32Array> {
    const most = Math.max(1, Math.floor(largestBatch / this.blockTokens));
    const check = new Arguments("BlockLoader.next");
    check.wholeNumber("count", count, 1, most);
    this.#checkOpen(check);
    if (this.#reading !== null) check.fail(TypeError, "this", "a loader that is not reading", "one that is");
    this.#reading = this.#prefetched?.count === count ? this.#prefetched.batch : this.#read(this.#position, count);
    this.#prefetched = undefined;
    const { tokens, next } = await this.#reading.finally(() => {
      this.#reading = null;
    });
    this.#checkOpen(check);
    this.#position = next;
    // Issuing the reads also takes time: let the caller start its step first.
    const batch = setImmediate().then(() => this.#read(next, count));
    batch.catch(() => undefined); // reported by the call of next() that takes this batch, if any
    this.#prefetched = { count, batch };
    return tokens;
  }

  /** Waits for all reads, so that the dataset may be closed: later calls of `next`, and one that waits, fail. */
  async close(): Promise<void> {
    this.#closed = true;
    const reads = [this.#reading, this.#prefetched?.batch];
    this.#prefetched = undefined;
    await Promise.allSettled(reads);
  }

  /** `close()`, for `await using`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #checkOpen(check: Arguments): void {
    if (this.#closed) check.fail(TypeError, "this", "an open loader", "a closed one");
  }

  #startAt({ epoch, tokens, taken: saved }: DataPosition): DataPosition {
    const begins = this.#mix !== null && epoch === 0 && tokens === 0;
    const taken = saved ?? (begins ? this.#corpora.map(() => 0) : undefined);
    const whole = Math.floor(tokens / this.#unitTokens);
    const fits =
      this.#mix === null
        ? tokens <= this.tokensPerEpoch && taken === undefined
        : taken?.length === this.#corpora.length && sum(taken) === whole;
    if (!fits) {
      const expected = taken === undefined ? `at least ${tokens} tokens an epoch` : `a mix of ${taken.length} datasets`;
      const received = this.#mix === null ? `${this.tokensPerEpoch}` : `a mix of ${this.#corpora.length}`;
      throw new DataError(
        `${this.#corpora[0]!.dataset.shards[0]!.path}: expected the data that the position was saved with, ` +
          `${expected}, but received ${received}`,
      );
    }
    const rounded = Math.ceil(tokens / this.blockTokens) * this.blockTokens;
    if (this.#mix !== null) {
      const ends = Math.floor(rounded / this.#unitTokens) > whole;
      return { epoch, tokens: rounded, taken: ends ? this.#with(taken!, this.#mix.next(taken!)) : [...taken!] };
    }
    return rounded < this.tokensPerEpoch ? { epoch, tokens: rounded } : { epoch: epoch + 1, tokens: 0 };
  }

  async #read(from: DataPosition, count: number): Promise<Batch> {
    const out = new Int32Array(count * this.blockTokens);
    const mask = this.#masked ? new Uint8Array(out.length) : null;
    const reads: Promise<void>[] = [];
    let position = from;
    for (let done = 0; done < out.length; ) {
      const within = position.tokens % this.#unitTokens;
      const { corpus, unit } = this.#unitAt(position);
      const length = Math.min(out.length - done, this.#unitTokens - within);
      const start = unit * this.#unitTokens + within;
      const { dataset } = this.#corpora[corpus]!;
      reads.push(this.#readPart(dataset, start, out.subarray(done, done + length)));
      if (mask !== null) reads.push(dataset.readMask(start, mask.subarray(done, done + length)));
      done += length;
      position = this.#after(position, corpus, length);
    }
    // All at once: one after another, each would wait for a turn on busy cores. Of several failures, the first in the
    // order of the data is reported.
    const failure = (await Promise.allSettled(reads)).find((read) => read.status === "rejected");
    if (failure) throw failure.reason;
    this.#masks.set(out, mask);
    return { tokens: out, next: position };
  }

  /** The dataset that the unit at a position is in, and its place there. */
  #unitAt({ epoch, tokens, taken }: DataPosition): { corpus: number; unit: number } {
    if (this.#mix === null) {
      return { corpus: 0, unit: permutation(this.#corpora[0]!, epoch).at(Math.floor(tokens / this.#unitTokens)) };
    }
    const corpus = this.#mix.next(taken!);
    const chosen = this.#corpora[corpus]!;
    const ordinal = taken![corpus]!;
    return { corpus, unit: permutation(chosen, Math.floor(ordinal / chosen.units)).at(ordinal % chosen.units) };
  }

  /** The position after `length` more tokens of the unit at a position. */
  #after({ epoch, tokens, taken }: DataPosition, corpus: number, length: number): DataPosition {
    const next = tokens + length;
    if (taken !== undefined) {
      return { epoch, tokens: next, taken: next % this.#unitTokens === 0 ? this.#with(taken, corpus) : taken };
    }
    return next === this.tokensPerEpoch ? { epoch: epoch + 1, tokens: 0 } : { epoch, tokens: next };
  }

  #with(taken: readonly number[], corpus: number): number[] {
    return taken.map((count, index) => (index === corpus ? count + 1 : count));
  }

  async #readPart(dataset: TokenDataset, start: number, part: Int32Array): Promise<void> {
    await dataset.read(start, part);
    dataset.checkVocabulary(part, start, this.#vocabSize);
  }
}

const sum = (counts: readonly number[]): number => counts.reduce((total, count) => total + count, 0);

function permutation(corpus: Corpus, epoch: number): Permutation {
  if (corpus.order?.epoch !== epoch) {
    corpus.order = { epoch, permutation: new Permutation(corpus.units, ...corpus.keys, epoch) };
  }
  return corpus.order.permutation;
}

function checkMix(check: Arguments, mix: readonly WeightedDataset[]): readonly WeightedDataset[] {
  if (mix.length === 0) check.fail(RangeError, "dataset", "a dataset or a list of one or more", "an empty list");
  for (const [index, entry] of mix.entries()) {
    const { dataset, weight } = check.options(`dataset[${index}]`, entry, ["dataset", "weight"]);
    check.instance(`dataset[${index}].dataset`, dataset, TokenDataset);
    check.number(
      `dataset[${index}].weight`,
      weight,
      "a number above 0",
      (value) => value > 0 && Number.isFinite(value),
    );
  }
  return mix;
}

function checkTaken(check: Arguments, taken: readonly number[]): void {
  check.numbers(
    "position.taken",
    taken,
    "a whole number of units",
    (count) => Number.isSafeInteger(count) && count >= 0,
  );
}
