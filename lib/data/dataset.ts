/** A set of token shards read as one stream of tokens. */
import { readdir } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { types } from "node:util";
import { Arguments, describe, either } from "../arguments.js";
import { DataError, unusable } from "../errors.js";
import { type ShardFormat, shardFormats } from "./format_names.js";
import { type DatasetIds, type MemoryData, type MemoryOptions, memoryData } from "./memory_data.js";
import type { Shard } from "./shard.js";
import { openShard } from "./shard.js";
import { ShardFiles, type ShardSources } from "./shard_files.js";
import type { GivenDocuments } from "./sources/given.js";
import type { Tokenizer } from "./tokenizer.js";

/** The most names in a folder that an error lists. */
const NAMES_IN_ERROR = 8;

/**
 * The shards of one split, in the order of their names, as one stream of `tokenCount` tokens.
 *
 * @example
 * ```ts
 * import { TokenDataset } from "nextpatch";
 *
 * await using dataset = await TokenDataset.open("data/mine/train_*.bin");
 * const tokens = new Int32Array(128);
 * await dataset.read(0, tokens); // the first 128 of dataset.tokenCount
 * console.log(dataset.shards.length, dataset.tokenCount);
 * ```
 */
export class TokenDataset {
  /** The shards, in order. */
  readonly shards: readonly Shard[];
  /** `starts[i]` is the stream position of shard i's first token. */
  readonly #starts: readonly number[];
  /** Tokens in all shards together. */
  readonly tokenCount: number;

  readonly #files: ShardSources;

  /** What it was opened with; the name of one in memory. */
  readonly patterns: readonly string[];

  /**
   * What is known of one in memory; null: it is in files.
   * @internal
   */
  readonly memory: MemoryData | null;

  private constructor(
    patterns: readonly string[],
    shards: readonly Shard[],
    files: ShardSources,
    memory: MemoryData | null = null,
  ) {
    this.patterns = patterns;
    this.memory = memory;
    this.shards = shards;
    this.#files = files;
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
   * Opens the shards that a path, a pattern such as `data/train_*.bin`, or a list of them names. `*` and `?` match
   * characters of the file name, not of its folder. The dataset keeps some files open until `close()`.
   * @param pathsOrPatterns shards of llm.c's format, or with their format; of Megatron's the .bin file, or the path
   *   without its ending
   * @throws TypeError or RangeError for another argument
   * @throws DataError if a pattern matches nothing or a file is not a whole shard
   */
  static async open(pathsOrPatterns: string | readonly string[] | readonly ShardPattern[]): Promise<TokenDataset> {
    const patterns = checkPatterns(new Arguments("TokenDataset.open"), "pathsOrPatterns", pathsOrPatterns);
    const formats = new Map<string, ShardFormat>();
    for (const { path, format = "llmc" } of patterns) {
      const whole = format === "megatron" ? `${path.replace(/\.(bin|idx)$/, "")}.bin` : path;
      for (const found of await expandPattern(whole)) formats.set(found, format);
    }
    const files = new ShardFiles();
    const shards: Shard[] = [];
    const sorted = [...formats].sort(([a], [b]) => (a < b ? -1 : 1));
    for (const [path, format] of sorted) shards.push(await openShard(path, files, format));
    return new TokenDataset(
      patterns.map(({ path }) => path),
      shards,
      files,
    );
  }

  /**
   * A dataset in memory, of ids (which are copied) or of documents: texts, or objects with a text and perhaps a prompt, in
   * an array, an iterable or an async iterable. A document's tokens are those that `prepareDataset` writes: its tokenizer's,
   * post-processor included, behind the end-of-text token unless they begin with it. Takes 2 bytes a token, or 4 for ids
   * from 65536 on, and twice as much while it is made.
   *
   * It serves a `BlockLoader`, `evaluate`, and, as one of the `datasets` of `Trainer.open`, a run.
   * @throws TypeError or RangeError for a wrong argument, such as an id that is none, or documents without a tokenizer
   * @throws DataError if there is no token, or a text that cannot be encoded; what an iterable throws
   */
  static async from(data: DatasetIds, options?: MemoryOptions): Promise<TokenDataset>;
  static async from(
    data: GivenDocuments,
    options: MemoryOptions & { readonly tokenizer: Tokenizer },
  ): Promise<TokenDataset>;
  static async from(data: DatasetIds | GivenDocuments, options: MemoryOptions = {}): Promise<TokenDataset> {
    const memory = await memoryData(new Arguments("TokenDataset.from"), data, options);
    return new TokenDataset([memory.shard.path], [memory.shard], memory.sources, memory);
  }

  /**
   * Fills `out` with the tokens from stream position `position` on, across shards.
   * @throws TypeError or RangeError for a wrong argument, such as a range that is not fully within the tokens
   * @throws TypeError if the dataset is closed, also if `close` is called before the last shard is read
   * @throws DataError if a file has become shorter
   */
  async read(position: number, out: Int32Array): Promise<void> {
    const check = new Arguments("TokenDataset.read");
    if (!types.isInt32Array(out)) check.fail(TypeError, "out", "an Int32Array", describe(out));
    this.#checkRange(check, out.length, "position", position);
    for (const { shard, within, begin, end } of this.#parts(position, out.length)) {
      await shard.read(within, out.subarray(begin, end));
    }
  }

  /** Whether a loss mask lies beside any shard. Without one, all tokens count. */
  get masked(): boolean {
    return this.shards.some(({ mask }) => mask !== null);
  }

  /**
   * Fills `out` with the loss mask of the tokens from stream position `position` on, a byte a token: 1 if it counts in
   * the loss as a label, else 0. All tokens of a shard without a mask count.
   * @throws as `read`
   */
  async readMask(position: number, out: Uint8Array): Promise<void> {
    const check = new Arguments("TokenDataset.readMask");
    if (!types.isUint8Array(out)) check.fail(TypeError, "out", "a Uint8Array", describe(out));
    this.#checkRange(check, out.length, "position", position);
    for (const { shard, within, begin, end } of this.#parts(position, out.length)) {
      const part = out.subarray(begin, end);
      if (shard.mask === null) part.fill(1);
      else await shard.mask.read(within, part);
    }
  }

  /**
   * Checks `tokens`, read from stream position `start` on.
   * @throws TypeError or RangeError for a wrong argument
   * @throws DataError if a token is not in a vocabulary of that size, naming file, token and position
   */
  checkVocabulary(tokens: Int32Array, start: number, vocabulary: number): void {
    const check = new Arguments("TokenDataset.checkVocabulary");
    if (!types.isInt32Array(tokens)) check.fail(TypeError, "tokens", "an Int32Array", describe(tokens));
    this.#checkRange(check, tokens.length, "start", start);
    check.wholeNumber("vocabulary", vocabulary, 1);
    let largest = 0;
    for (let i = 0; i < tokens.length; i++) largest = Math.max(largest, tokens[i]! >>> 0);
    if (largest < vocabulary) return;
    const index = tokens.findIndex((token) => token >>> 0 >= vocabulary);
    const { path, position } = this.locate(start + index);
    throw new DataError(
      `${path}: position ${position}: expected a token id below the vocabulary's size of ${vocabulary} ` +
        `but received ${tokens[index]! >>> 0}`,
    );
  }

  /**
   * The shard file that holds a stream position, and the position in it.
   * @throws TypeError or RangeError for another argument
   */
  locate(position: number): { path: string; position: number } {
    new Arguments("TokenDataset.locate").wholeNumber("position", position, 0, this.tokenCount - 1);
    const index = this.#shardAt(position);
    return { path: this.shards[index]!.path, position: position - this.#starts[index]! };
  }

  /** Closes the files, after the reads that have begun; nothing can be read after that. */
  async close(): Promise<void> {
    await this.#files.close();
  }

  /** `close()`, for `await using`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /** Checks a stream position with `length` tokens from it on. */
  #checkRange(check: Arguments, length: number, name: string, position: number): void {
    const { tokenCount } = this;
    const within = (first: number) => Number.isInteger(first) && first >= 0 && first + length <= tokenCount;
    check.number(name, position, `a position with ${length} of the ${tokenCount} tokens from it on`, within);
  }

  /** The shards that hold a range: where it begins in each, and which part of the range that is. */
  *#parts(position: number, length: number) {
    for (let begin = 0; begin < length; ) {
      const index = this.#shardAt(position + begin);
      const shard = this.shards[index]!;
      const within = position + begin - this.#starts[index]!;
      const end = Math.min(length, begin + shard.tokenCount - within);
      yield { shard, within, begin, end };
      begin = end;
    }
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

/** Shards of a format. */
export interface ShardPattern {
  /** A path, or a pattern such as `data/train_*.bin`. */
  readonly path: string;
  /** Default `llmc`. */
  readonly format?: ShardFormat | undefined;
}

/** Checks an argument that names shards. */
export function checkPatterns(
  check: Arguments,
  name: string,
  value: string | readonly string[] | readonly ShardPattern[],
): readonly ShardPattern[] {
  if (typeof value === "string") return [{ path: check.path(name, value) }];
  const isObject = (entry: unknown) => typeof entry === "object" && entry !== null;
  if (!Array.isArray(value) || !isObject(value[0])) {
    const paths = check.paths(name, value as readonly string[], 1, "a string or an array of one or more");
    return paths.map((path) => ({ path }));
  }
  return Array.from(value as readonly ShardPattern[], (entry, index) => {
    const { path, format } = check.options(`${name}[${index}]`, entry, ["path", "format"]);
    check.path(`${name}[${index}].path`, path);
    if (format !== undefined && !shardFormats.includes(format)) {
      check.fail(RangeError, `${name}[${index}].format`, either(shardFormats), describe(format));
    }
    return { path, format };
  });
}

/** Whether a path stands for all files that match it. */
export function isWild(pattern: string): boolean {
  return /[*?]/.test(basename(pattern));
}

async function expandPattern(pattern: string): Promise<string[]> {
  const name = basename(pattern);
  const folder = dirname(pattern);
  if (/[*?]/.test(folder)) {
    throw new DataError(
      `${pattern}: expected * and ? in the file's name only but received them in the folder ${folder}`,
    );
  }
  if (!isWild(pattern)) return [pattern];
  const names = await readdir(folder).catch((cause: unknown) => {
    const received = unusable(cause, "folder");
    throw new DataError(`${pattern}: expected a folder of token shards but received ${received}`, { cause });
  });
  const source = name
    .replace(/[^*?]/g, (c) => `\\u{${c.codePointAt(0)!.toString(16)}}`)
    .replaceAll("*", ".*")
    .replaceAll("?", ".");
  const expression = new RegExp(`^${source}$`, "su");
  const matches = names.filter((candidate) => expression.test(candidate));
  if (matches.length === 0)
    throw new DataError(`${pattern}: expected files of such names but received ${listed(names)}`);
  return matches.map((match) => join(folder, match));
}

function listed(names: string[]): string {
  if (names.length === 0) return "an empty folder";
  const more = names.length > NAMES_IN_ERROR ? ` and ${names.length - NAMES_IN_ERROR} more` : "";
  return `a folder with ${names.sort().slice(0, NAMES_IN_ERROR).join(", ")}${more}`;
}
