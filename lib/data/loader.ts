/**
 * Training blocks from a token dataset, shuffled, prefetched, and resumable at any block.
 *
 * The order of the data does not depend on the stage. The dataset is cut into consecutive UNITS of `unitTokens`
 * (the longest block of any stage, K * sequenceLength tokens at its K); an epoch visits every unit once, in an order
 * that depends only on (seed, epoch); tokens after the last whole unit are left out. A stage reads blocks of
 * `blockTokens`, which divides the unit, so a stage with shorter blocks reads a unit's blocks one after another.
 *
 * The position counts the tokens consumed in that order. The next stage therefore continues with fresh data where the
 * last one ended. If that is inside one of its longer blocks, the rest of that block is skipped: the position is
 * rounded up to a whole block.
 */
import { setImmediate } from "node:timers/promises";
import { Arguments } from "../arguments.js";
import { DataError } from "../errors.js";
import { TokenDataset } from "./dataset.js";
import { Permutation } from "./permutation.js";

/** The most tokens of a batch. */
const largestBatch = 2 ** 31 - 1;

/** Where a loader is in its data: whole epochs done, and tokens consumed of the current one. Plain JSON. */
export interface DataPosition {
  epoch: number;
  tokens: number;
}

/** What a stage reads, and in which order. */
export interface BlockLoaderOptions {
  /** Not closed by the loader: its opener closes it, after the loader. */
  dataset: TokenDataset;
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

interface Batch {
  tokens: Int32Array;
  next: DataPosition;
}

/** The blocks of a stage, in an order that depends only on dataset, seed and unit; one batch is read ahead. */
export class BlockLoader {
  /** Tokens of a block. */
  readonly blockTokens: number;
  /** Tokens an epoch consumes: the dataset's, less those after its last whole unit. */
  readonly tokensPerEpoch: number;
  readonly #dataset: TokenDataset;
  readonly #unitTokens: number;
  readonly #vocabSize: number;
  readonly #seed: number;
  #position: DataPosition;
  #prefetched: { count: number; batch: Promise<Batch> } | undefined;
  #order: { epoch: number; permutation: Permutation } | undefined;

  /**
   * @throws TypeError or RangeError for a wrong option; DataError for too few tokens, or for a position in other data
   */
  constructor(options: BlockLoaderOptions) {
    const check = new Arguments("BlockLoader");
    const { dataset, blockTokens, unitTokens, vocabSize, seed, position } = check.object("options", options);
    check.instance("dataset", dataset, TokenDataset);
    check.wholeNumber("unitTokens", unitTokens, 1);
    const divides = (tokens: number) => Number.isInteger(tokens) && tokens >= 1 && unitTokens % tokens === 0;
    check.number("blockTokens", blockTokens, `a divisor of unitTokens, which is ${unitTokens},`, divides);
    check.wholeNumber("vocabSize", vocabSize, 1);
    check.number("seed", seed, "a whole number", Number.isSafeInteger);
    if (position !== undefined) {
      const { epoch, tokens } = check.object("position", position);
      check.wholeNumber("position.epoch", epoch, 0);
      check.wholeNumber("position.tokens", tokens, 0);
    }
    const units = Math.floor(dataset.tokenCount / unitTokens);
    if (units === 0) {
      throw new DataError(
        `${dataset.shards[0]!.path}: expected at least one block of ${unitTokens} tokens ` +
          `but received ${dataset.tokenCount} tokens`,
      );
    }
    this.blockTokens = blockTokens;
    this.tokensPerEpoch = units * unitTokens;
    this.#dataset = dataset;
    this.#unitTokens = unitTokens;
    this.#vocabSize = vocabSize;
    this.#seed = seed;
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
   * The next `count` blocks, one after another: count * blockTokens token ids. It may cross the end of an epoch.
   * Meanwhile the following batch, assumed to have the same count, is read in the background. One call at a time.
   * @throws TypeError or RangeError for a count that is not a whole number of at least 1
   * @throws DataError for a token id outside the vocabulary; the position then stays before the failed batch
   */
  async next(count: number): Promise<Int32Array> {
    const most = Math.max(1, Math.floor(largestBatch / this.blockTokens));
    new Arguments("BlockLoader.next").wholeNumber("count", count, 1, most);
    const ready = this.#prefetched?.count === count ? this.#prefetched.batch : this.#read(this.#position, count);
    this.#prefetched = undefined;
    const { tokens, next } = await ready;
    this.#position = next;
    // Issuing the reads also takes time: let the caller start its step first.
    const batch = setImmediate().then(() => this.#read(next, count));
    batch.catch(() => undefined); // reported by the call of next() that takes this batch, if any
    this.#prefetched = { count, batch };
    return tokens;
  }

  /** Ends the background read, so that the dataset may be closed. The loader must not be used afterwards. */
  async close(): Promise<void> {
    await this.#prefetched?.batch.catch(() => undefined);
    this.#prefetched = undefined;
  }

  /** `close()`, for `await using`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #startAt({ epoch, tokens }: DataPosition): DataPosition {
    if (tokens > this.tokensPerEpoch) {
      throw new DataError(
        `${this.#dataset.shards[0]!.path}: expected the data that the position was saved with, ` +
          `at least ${tokens} tokens an epoch, but received ${this.tokensPerEpoch}`,
      );
    }
    const rounded = Math.ceil(tokens / this.blockTokens) * this.blockTokens;
    return rounded < this.tokensPerEpoch ? { epoch, tokens: rounded } : { epoch: epoch + 1, tokens: 0 };
  }

  async #read(from: DataPosition, count: number): Promise<Batch> {
    const out = new Int32Array(count * this.blockTokens);
    const reads: Promise<void>[] = [];
    let { epoch, tokens } = from;
    for (let done = 0; done < out.length; ) {
      const within = tokens % this.#unitTokens;
      const unit = this.#permutation(epoch).at((tokens - within) / this.#unitTokens);
      const length = Math.min(out.length - done, this.#unitTokens - within);
      const start = unit * this.#unitTokens + within;
      reads.push(this.#readPart(start, out.subarray(done, done + length)));
      done += length;
      tokens += length;
      if (tokens === this.tokensPerEpoch) [epoch, tokens] = [epoch + 1, 0];
    }
    // All at once: one after another, each would wait for a turn on busy cores. Of several failures, the first in the
    // order of the data is reported.
    const failure = (await Promise.allSettled(reads)).find((read) => read.status === "rejected");
    if (failure) throw failure.reason;
    return { tokens: out, next: { epoch, tokens } };
  }

  async #readPart(start: number, part: Int32Array): Promise<void> {
    await this.#dataset.read(start, part);
    this.#dataset.checkVocabulary(part, start, this.#vocabSize);
  }

  #permutation(epoch: number): Permutation {
    if (this.#order?.epoch !== epoch) {
      const permutation = new Permutation(this.tokensPerEpoch / this.#unitTokens, this.#seed, epoch);
      this.#order = { epoch, permutation };
    }
    return this.#order.permutation;
  }
}
