/** A set of token shards read as one stream of tokens. */
import { readdir } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { DataError } from "../errors.js";
import type { Shard } from "./shard.js";
import { openShard } from "./shard.js";

/** How many names of a folder an error lists. */
const NAMES_IN_ERROR = 8;

/** The shards of one split, in the order of their names, as one stream of `tokenCount` tokens. */
export class TokenDataset {
  /** The open shards, in order. */
  readonly shards: readonly Shard[];
  /** `starts[i]` is the stream position of shard i's first token. */
  readonly #starts: readonly number[];
  /** Tokens in all shards together. */
  readonly tokenCount: number;

  private constructor(shards: readonly Shard[]) {
    this.shards = shards;
    const starts: number[] = [];
    let total = 0;
    for (const shard of shards) {
      starts.push(total);
      total += shard.tokenCount;
    }
    this.#starts = starts;
    this.tokenCount = total;
  }

  /**
   * Opens the shards that a path, a pattern such as `data/train_*.bin`, or a list of them names. `*` and `?` stand
   * for characters of the file name, not of its folder. The dataset holds the files open until `close()`.
   * @throws DataError if a pattern matches nothing or a file is not a whole shard
   */
  static async open(pathsOrPatterns: string | readonly string[]): Promise<TokenDataset> {
    const patterns = typeof pathsOrPatterns === "string" ? [pathsOrPatterns] : pathsOrPatterns;
    if (patterns.length === 0) throw new DataError("a dataset needs at least one shard, none was named");
    const paths = (await Promise.all(patterns.map(expandPattern))).flat();
    const shards: Shard[] = [];
    try {
      for (const path of new Set(paths.sort())) shards.push(await openShard(path));
    } catch (error) {
      await Promise.all(shards.map((shard) => shard.close()));
      throw error;
    }
    return new TokenDataset(shards);
  }

  /**
   * Fills `out` with the tokens from stream position `position` on, across shards.
   * @throws RangeError past the end, DataError where a file has become shorter
   */
  async read(position: number, out: Int32Array): Promise<void> {
    if (!Number.isInteger(position) || position < 0 || position + out.length > this.tokenCount) {
      const range = `[${position}, ${position + out.length})`;
      throw new RangeError(
        `TokenDataset.read: position: expected tokens within [0, ${this.tokenCount}) but received ${range}`,
      );
    }
    let done = 0;
    while (done < out.length) {
      const index = this.#shardAt(position + done);
      const shard = this.shards[index]!;
      const within = position + done - this.#starts[index]!;
      const count = Math.min(out.length - done, shard.tokenCount - within);
      await shard.read(within, out.subarray(done, done + count));
      done += count;
    }
  }

  /**
   * Checks `tokens`, read from stream position `start` on.
   * @throws DataError where one of them is not in a vocabulary of that size, naming file, token and place
   */
  checkVocabulary(tokens: Int32Array, start: number, vocabulary: number): void {
    let largest = 0;
    for (let i = 0; i < tokens.length; i++) largest = Math.max(largest, tokens[i]! >>> 0);
    if (largest < vocabulary) return;
    const index = tokens.findIndex((token) => token >>> 0 >= vocabulary);
    const { path, position } = this.locate(start + index);
    throw new DataError(
      `${path}: token ${tokens[index]! >>> 0} at position ${position} is outside the model's ` +
        `vocabulary of ${vocabulary}`,
    );
  }

  /** The shard file that holds a stream position, and the position in it. */
  locate(position: number): { path: string; position: number } {
    const index = this.#shardAt(position);
    return { path: this.shards[index]!.path, position: position - this.#starts[index]! };
  }

  /** Closes the files; nothing can be read after that. */
  async close(): Promise<void> {
    await Promise.all(this.shards.map((shard) => shard.close()));
  }

  /** `close()`, for `await using`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /** Index of the last shard that starts at or before `position`. */
  #shardAt(position: number): number {
    let low = 0;
    let high = this.#starts.length - 1;
    while (low < high) {
      const middle = Math.ceil((low + high) / 2);
      if (this.#starts[middle]! <= position) low = middle;
      else high = middle - 1;
    }
    return low;
  }
}

async function expandPattern(pattern: string): Promise<string[]> {
  const name = basename(pattern);
  const folder = dirname(pattern);
  if (/[*?]/.test(folder)) {
    throw new DataError(`${pattern}: * and ? may stand in the file name only, not in the folder ${folder}`);
  }
  if (!/[*?]/.test(name)) return [pattern];
  const names = await readdir(folder).catch((cause: NodeJS.ErrnoException) => {
    const reason = cause.code === "ENOENT" ? "does not exist" : `cannot be read: ${cause.message}`;
    throw new DataError(`${pattern} matches no file: the folder ${folder} ${reason}`, { cause });
  });
  const source = name
    .replace(/[^*?]/g, (c) => `\\u{${c.codePointAt(0)!.toString(16)}}`)
    .replaceAll("*", ".*")
    .replaceAll("?", ".");
  const expression = new RegExp(`^${source}$`, "su");
  const matches = names.filter((candidate) => expression.test(candidate));
  if (matches.length === 0) throw new DataError(`${pattern} matches no file: ${folder} ${describe(names)}`);
  return matches.map((match) => join(folder, match));
}

function describe(names: string[]): string {
  if (names.length === 0) return "is empty";
  const more = names.length > NAMES_IN_ERROR ? ` and ${names.length - NAMES_IN_ERROR} more` : "";
  return `holds ${names.sort().slice(0, NAMES_IN_ERROR).join(", ")}${more}`;
}
