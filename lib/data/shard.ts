/**
 * Token shards in llm.c's format: a header of 256 little-endian int32 words, then the tokens, little-endian.
 *
 * | word | uint16 tokens | uint32 tokens |
 * |---|---|---|
 * | 0 | magic 20240520 | magic 20240801 |
 * | 1 | version 1 | version 7 |
 * | 2 | token count | token count |
 *
 * The other words are zero. Source: karpathy/llm.c, `dev/data/data_common.py` (GPT-2 and Llama-3 variants).
 */

import { createHash } from "node:crypto";
import type { FileHandle } from "node:fs/promises";
import { open, rename, rm } from "node:fs/promises";
import { types } from "node:util";
import { Arguments, describe } from "../arguments.js";
import { readFully } from "../disk/read_fully.js";
import { openFile } from "../disk/read_text.js";
import { DataError, unusable } from "../errors.js";
import type { ShardFormat } from "./format_names.js";
import { openMask, type ShardMask } from "./loss_mask.js";
import { type FileFacts, ShardFiles, type ShardSources } from "./shard_files.js";
import { LLMC_VARIANTS, readLayout, SHARD_HEADER_BYTES, type ShardLayout, type TokenBytes } from "./shard_formats.js";

/** The count is an int32 in the header, so a shard holds at most this many tokens. */
export const MAX_SHARD_TOKENS = 2 ** 31 - 1;

/** Bytes per token of what is written: 2 if every id of the vocabulary fits uint16, else 4. */
export type BytesPerToken = 2 | 4;

/** Tokens buffered before a write to disk. */
const WRITE_BUFFER_TOKENS = 1 << 18;

/** A shard that has been written. */
export interface WrittenShard {
  readonly path: string;
  readonly tokens: number;
  /** Size of the file. */
  readonly bytes: number;
  /** SHA-256 of the file, in hex; null if it could not be computed while writing. */
  readonly sha256: string | null;
}

/**
 * Writes one shard as a stream. The file appears under its name only when `finish()` has written the count and
 * synced it; until then it is `<path>.partial`.
 */
export class ShardWriter {
  readonly path: string;
  readonly bytesPerToken: BytesPerToken;
  #file: FileHandle;
  #buffer: Uint16Array | Uint32Array;
  #buffered = 0;
  #tokenCount = 0;
  #bytesWritten = SHARD_HEADER_BYTES;
  /** Of a shard of `#expectedTokens` tokens: the header, which has the count, comes first. */
  readonly #hash = createHash("sha256");
  readonly #expectedTokens: number;

  private constructor(path: string, bytesPerToken: BytesPerToken, file: FileHandle, expectedTokens: number) {
    this.path = path;
    this.bytesPerToken = bytesPerToken;
    this.#file = file;
    this.#expectedTokens = expectedTokens;
    this.#hash.update(headerOf(bytesPerToken, expectedTokens));
    this.#buffer = bytesPerToken === 2 ? new Uint16Array(WRITE_BUFFER_TOKENS) : new Uint32Array(WRITE_BUFFER_TOKENS);
  }

  /**
   * Starts the shard `path`; its folder must exist.
   * @param expectedTokens the count for which `finish` can give a hash without reading the file again
   */
  static async create(path: string, bytesPerToken: BytesPerToken, expectedTokens = 0): Promise<ShardWriter> {
    const file = await open(`${path}.partial`, "w");
    return new ShardWriter(path, bytesPerToken, file, expectedTokens);
  }

  /** Tokens appended so far. */
  get tokenCount(): number {
    return this.#tokenCount;
  }

  /** Appends token ids. Throws DataError for an id the token width cannot hold or a shard that would be too long. */
  async write(tokens: ArrayLike<number>): Promise<void> {
    if (this.#tokenCount + tokens.length > MAX_SHARD_TOKENS) {
      throw new DataError(
        `${this.path}: expected at most ${MAX_SHARD_TOKENS} tokens but received ${this.#tokenCount + tokens.length}`,
      );
    }
    const limit = this.bytesPerToken === 2 ? 2 ** 16 : 2 ** 32;
    for (let i = 0; i < tokens.length; i++) {
      const token = tokens[i]!;
      if (!(token >= 0 && token < limit && Number.isInteger(token))) {
        throw new DataError(
          `${this.path}: expected tokens that fit uint${this.bytesPerToken * 8} but received ${token}`,
        );
      }
      this.#buffer[this.#buffered++] = token;
      if (this.#buffered === WRITE_BUFFER_TOKENS) await this.#flush();
    }
    this.#tokenCount += tokens.length;
  }

  /** Writes the rest and the header, syncs, and renames the file. */
  async finish(): Promise<WrittenShard> {
    await this.#flush();
    await writeFully(this.#file, headerOf(this.bytesPerToken, this.#tokenCount), 0);
    await this.#file.sync();
    await this.#file.close();
    await rename(`${this.path}.partial`, this.path);
    const sha256 = this.#tokenCount === this.#expectedTokens ? this.#hash.digest("hex") : null;
    return { path: this.path, tokens: this.#tokenCount, bytes: this.#bytesWritten, sha256 };
  }

  /** Deletes the unfinished file. */
  async abort(): Promise<void> {
    await this.#file.close();
    await rm(`${this.path}.partial`, { force: true });
  }

  async #flush(): Promise<void> {
    const bytes = new Uint8Array(this.#buffer.buffer, 0, this.#buffered * this.bytesPerToken);
    this.#hash.update(bytes);
    await writeFully(this.#file, bytes, this.#bytesWritten);
    this.#bytesWritten += bytes.length;
    this.#buffered = 0;
  }
}

/** The header of a shard. */
export function headerOf(bytesPerToken: BytesPerToken, tokenCount: number): Buffer {
  const variant = LLMC_VARIANTS.find((v) => v.bytesPerToken === bytesPerToken)!;
  const header = Buffer.alloc(SHARD_HEADER_BYTES);
  header.writeInt32LE(variant.magic, 0);
  header.writeInt32LE(variant.version, 4);
  header.writeInt32LE(tokenCount, 8);
  return header;
}

async function writeFully(file: FileHandle, bytes: Uint8Array, position: number): Promise<void> {
  for (let done = 0; done < bytes.length; ) {
    const { bytesWritten } = await file.write(bytes, done, bytes.length - done, position + done);
    done += bytesWritten;
  }
}

/** An open shard. Reads are positional, so several may be in flight; `close()` when done. */
export class Shard {
  readonly path: string;
  readonly format: ShardFormat;
  readonly tokenCount: number;
  readonly bytesPerToken: TokenBytes;
  /** Which tokens count in the loss; null: all do. */
  readonly mask: ShardMask | null;
  readonly #offset: number;
  readonly #facts: FileFacts;
  readonly #files: ShardSources;

  /** For a file that `openShard` has checked. */
  constructor(
    path: string,
    format: ShardFormat,
    layout: ShardLayout,
    mask: ShardMask | null,
    facts: FileFacts,
    files: ShardSources,
  ) {
    this.path = path;
    this.mask = mask;
    this.format = format;
    this.tokenCount = layout.tokenCount;
    this.bytesPerToken = layout.bytesPerToken;
    this.#offset = layout.offset;
    this.#facts = facts;
    this.#files = files;
  }

  /** Size of the file. */
  get bytes(): number {
    return Number(this.#facts.size);
  }

  /**
   * Fills `out` with the tokens from `position` on. uint32 ids of 2^31 and more become negative.
   * @throws TypeError or RangeError for a wrong argument, such as a range that is not fully within the shard; DataError
   *   if the file was changed since it was first opened
   */
  async read(position: number, out: Int32Array): Promise<void> {
    const check = new Arguments("Shard.read");
    if (!types.isInt32Array(out)) check.fail(TypeError, "out", "an Int32Array", describe(out));
    const { tokenCount } = this;
    const within = (first: number) => Number.isInteger(first) && first >= 0 && first + out.length <= tokenCount;
    check.number("position", position, `a position with ${out.length} of the ${tokenCount} tokens from it on`, within);
    if (this.bytesPerToken === 8) return this.#readLong(position, out);
    // Narrower tokens are read into the end of `out` and widened in place: writing out[i] touches only bytes of tokens
    // that have already been read.
    const byteLength = out.length * this.bytesPerToken;
    const byteOffset = out.byteOffset + out.byteLength - byteLength;
    await this.#readBytes(position, new Uint8Array(out.buffer, byteOffset, byteLength));
    if (this.bytesPerToken === 4) return;
    const { buffer } = out;
    const narrow =
      this.bytesPerToken === 2
        ? new Uint16Array(buffer, byteOffset, out.length)
        : new Uint8Array(buffer, byteOffset, out.length);
    for (let i = 0; i < out.length; i++) out[i] = narrow[i]!;
  }

  /** int64 tokens; one that no vocabulary can have becomes -1. */
  async #readLong(position: number, out: Int32Array): Promise<void> {
    const words = new Int32Array(2 * out.length);
    await this.#readBytes(position, new Uint8Array(words.buffer));
    for (let i = 0; i < out.length; i++) out[i] = words[2 * i + 1] === 0 ? words[2 * i]! : -1;
  }

  async #readBytes(position: number, bytes: Uint8Array): Promise<void> {
    const start = this.#offset + position * this.bytesPerToken;
    const done = await this.#files.use(this.path, this.#facts, (file) => readFully(file, bytes, start));
    if (done === bytes.length) return;
    const expected = `${bytes.length} bytes at byte ${start}, as when it was opened,`;
    throw new DataError(`${this.path}: expected ${expected} but received ${done}`);
  }

  /** Closes the file, and those that share descriptors with it. */
  async close(): Promise<void> {
    await this.#files.close();
  }
}

/**
 * Checks a shard's header against its length, and the size of the loss mask beside it, if there is one. The files are
 * opened when they are read.
 * @param files shares descriptors with other shards
 * @throws DataError for anything that is not a whole shard of that format
 */
export async function openShard(path: string, files = new ShardFiles(), format: ShardFormat = "llmc"): Promise<Shard> {
  const file = await openFile(path).catch((cause: unknown) => {
    throw new DataError(`${path}: expected a token shard but received ${unusable(cause)}`, { cause });
  });
  try {
    const facts = await file.stat({ bigint: true });
    const layout = await readLayout(format, path, file, Number(facts.size));
    const mask = await openMask(path, layout.tokenCount, files);
    return new Shard(path, format, layout, mask, facts, files);
  } finally {
    await file.close();
  }
}
