/** The two splits of a dataset while they are written, and what is held out if no document was. */
import { DataError } from "../../errors.js";
import type { DatasetInfo } from "../dataset_info.js";
import type { BytesPerToken } from "../shard.js";
import { type SplitName, SplitWriter } from "../split.js";

/** How the splits are made. */
export interface SplitOptions {
  readonly valFraction: number;
  readonly shardTokens: number;
  /** The names of the sources, for errors. */
  readonly files: readonly string[];
  /** The names of separate validation files. */
  readonly val: readonly string[];
}

/** What the splits hold: a part of dataset.json. */
export type SplitInfo = Pick<DatasetInfo, "tokens" | "documents" | "bytes" | "heldOut" | "shards">;

export class Splits {
  readonly #options: SplitOptions;
  readonly #writers: Record<SplitName, SplitWriter>;
  readonly #documents = { train: 0, val: 0 };
  readonly #bytes = { train: 0, val: 0 };
  /** Where the last document of the training split begins, and its bytes. */
  readonly #last = { position: 0, bytes: 0 };

  constructor(folder: string, bytesPerToken: BytesPerToken, options: SplitOptions) {
    this.#options = options;
    const writer = (name: SplitName) => new SplitWriter(folder, name, bytesPerToken, options.shardTokens);
    this.#writers = { train: writer("train"), val: writer("val") };
  }

  /** Tokens written. */
  get tokenCount(): number {
    return this.#writers.train.tokenCount + this.#writers.val.tokenCount;
  }

  /** Documents begun. */
  get documentCount(): number {
    return this.#documents.train + this.#documents.val;
  }

  /**
   * Appends a document, or more of it.
   * @param mask a byte a token, 1: it counts in the loss; null: all count
   * @param bytes of its text, as UTF-8
   */
  async add(
    split: SplitName,
    continues: boolean,
    ids: Uint32Array,
    mask: Uint8Array | null,
    bytes: number,
  ): Promise<void> {
    if (!continues) {
      this.#documents[split]++;
      if (split === "train") [this.#last.position, this.#last.bytes] = [this.#writers.train.tokenCount, 0];
    }
    this.#bytes[split] += bytes;
    if (split === "train") this.#last.bytes += bytes;
    await this.#writers[split].write(ids, mask);
  }

  /** Completes both splits. @throws DataError if there is no document, or none that anything can be held out of */
  async finish(): Promise<SplitInfo> {
    const { train, val } = this.#writers;
    await train.finish();
    const heldOut = await this.#holdOut();
    await val.finish();
    return {
      tokens: { train: train.tokenCount, val: val.tokenCount },
      documents: this.#documents,
      bytes: this.#bytes,
      heldOut,
      shards: [...(await train.shards()), ...(await val.shards())],
    };
  }

  /** Closes what is open; the files stay for the caller to remove with their folder. */
  async abort(): Promise<void> {
    await Promise.all([this.#writers.train.abort(), this.#writers.val.abort()]);
  }

  /** Fills an empty validation split from the end of the training split, if there is to be one. */
  async #holdOut(): Promise<DatasetInfo["heldOut"]> {
    const { files, val: valFiles, valFraction } = this.#options;
    for (const [split, names] of [["train", files] as const, ["val", valFiles] as const]) {
      if (names.length === 0 || this.#documents[split] > 0) continue;
      throw new DataError(`${names.join(", ")}: expected text but received none`);
    }
    if (valFiles.length > 0) return "files";
    if (valFraction === 0) return "none";
    if (this.#documents.val > 0) return "documents";
    const { train, val } = this.#writers;
    const { position, bytes } = this.#last;
    if (this.#documents.train > 1) {
      await train.moveTail(position, val);
      this.#documents.train--;
      this.#documents.val++;
      this.#bytes.train -= bytes;
      this.#bytes.val += bytes;
      return "last-document";
    }
    const total = train.tokenCount;
    const tail = Math.max(1, Math.round(total * valFraction));
    // The leading end-of-text token does not count: by itself it is nothing to train on.
    if (tail > total - 2) {
      throw new DataError(
        `${files.join(", ")}: expected a document of at least ${tail + 1} tokens, of which ${tail} would be held out, ` +
          `but received ${total - 1}; hold nothing out, or give validation files of their own`,
      );
    }
    await train.moveTail(total - tail, val);
    return "tail";
  }
}
