/**
 * Loss masks: which tokens of a shard do not count in the loss, as labels. Such a token is read like any other.
 *
 * `train_000000.mask` lies beside `train_000000.bin` and has a bit a token: token i is bit i % 8 of byte floor(i / 8), the
 * least significant bit first, 1 if it does not count. The bits after the last token are 0. In memory a mask is a byte a
 * token, 1 if it counts, 0 if not.
 */
import { createHash } from "node:crypto";
import { type FileHandle, open, rename, rm } from "node:fs/promises";
import { basename } from "node:path";
import { readFully } from "../disk/read_fully.js";
import { openFile } from "../disk/read_text.js";
import { DataError, unusable } from "../errors.js";
import type { FileFacts, ShardSources } from "./shard_files.js";

/** Bytes buffered before a write to disk. */
const WRITE_BUFFER = 1 << 16;

/** The mask of a shard as `dataset.json` has it. */
export interface MaskInfo {
  /** Its name in the folder. */
  readonly file: string;
  /** Size of the file. */
  readonly bytes: number;
  /** SHA-256 of the file, in hex. */
  readonly sha256: string;
  /** Tokens that count. */
  readonly labels: number;
}

/** Where the mask of a shard lies; null: a file of that name has none. */
export function maskPath(shard: string): string | null {
  return shard.endsWith(".bin") ? shard.replace(/bin$/, "mask") : null;
}

/** Size of the mask of so many tokens. */
export const maskBytes = (tokens: number): number => Math.ceil(tokens / 8);

/** Fills `out` with the mask in memory of what a file's bits say from `bit` of the first byte on. */
export function maskOfBits(bits: Uint8Array, bit: number, out: Uint8Array): void {
  for (let i = 0; i < out.length; i++) {
    const at = bit + i;
    out[i] = 1 - ((bits[at >> 3]! >> (at & 7)) & 1);
  }
}

/** Sets the bits of a file, zeros before, by a mask in memory whose first token has bit `bit` of the first byte. */
export function bitsOfMask(mask: Uint8Array, bit: number, bits: Uint8Array): void {
  for (let i = 0; i < mask.length; i++) {
    const at = bit + i;
    if (mask[i] === 0) bits[at >> 3]! |= 1 << (at & 7);
  }
}

/** Writes the mask of one shard as a stream. Until `finish()` the file is `<path>.partial`. */
export class MaskWriter {
  readonly #hash = createHash("sha256");
  readonly #buffer = new Uint8Array(WRITE_BUFFER);
  /** Bits in the buffer. */
  #bits = 0;
  #bytes = 0;
  #labels = 0;

  private constructor(
    private readonly path: string,
    private readonly file: FileHandle,
  ) {}

  static async create(path: string): Promise<MaskWriter> {
    return new MaskWriter(path, await open(`${path}.partial`, "w"));
  }

  /**
   * Appends tokens.
   * @param count how many
   * @param mask a byte for each, 1: it counts; null: all count
   */
  async write(count: number, mask: Uint8Array | null): Promise<void> {
    for (let i = 0; i < count; i++) {
      if (mask === null || mask[i] === 1) this.#labels++;
      else this.#buffer[this.#bits >> 3]! |= 1 << (this.#bits & 7);
      if (++this.#bits === 8 * WRITE_BUFFER) await this.#flush();
    }
  }

  /** Writes the rest, syncs, and renames the file. */
  async finish(): Promise<MaskInfo> {
    await this.#flush();
    await this.file.sync();
    await this.file.close();
    await rename(`${this.path}.partial`, this.path);
    const sha256 = this.#hash.digest("hex");
    return { file: basename(this.path), bytes: this.#bytes, sha256, labels: this.#labels };
  }

  /** Deletes the unfinished file. */
  async abort(): Promise<void> {
    await this.file.close();
    await rm(`${this.path}.partial`, { force: true });
  }

  async #flush(): Promise<void> {
    const bytes = this.#buffer.subarray(0, maskBytes(this.#bits));
    this.#hash.update(bytes);
    await this.file.writeFile(bytes);
    this.#bytes += bytes.length;
    this.#bits = 0;
    this.#buffer.fill(0);
  }
}

/** The mask of an open shard. */
export class ShardMask {
  /** For a file that `openMask` has checked. */
  constructor(
    readonly path: string,
    private readonly facts: FileFacts,
    private readonly files: ShardSources,
  ) {}

  /**
   * Fills `out` with the mask of the tokens from `position` on, a byte each: 1 if it counts, else 0.
   * @throws DataError if the file was changed since it was first opened
   */
  async read(position: number, out: Uint8Array): Promise<void> {
    if (out.length === 0) return;
    const start = Math.floor(position / 8);
    const bytes = new Uint8Array(Math.floor((position + out.length - 1) / 8) + 1 - start);
    const done = await this.files.use(this.path, this.facts, (file) => readFully(file, bytes, start));
    if (done !== bytes.length) {
      const expected = `${bytes.length} bytes at byte ${start}, as when it was opened,`;
      throw new DataError(`${this.path}: expected ${expected} but received ${done}`);
    }
    maskOfBits(bytes, position % 8, out);
  }
}

/** Opens the mask beside a shard; null: there is none. @throws DataError if it is not one of as many tokens */
export async function openMask(shard: string, tokens: number, files: ShardSources): Promise<ShardMask | null> {
  const path = maskPath(shard);
  if (path === null) return null;
  let file: FileHandle;
  try {
    file = await openFile(path);
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === "ENOENT") return null;
    throw new DataError(`${path}: expected the loss mask of ${shard} but received ${unusable(cause)}`, { cause });
  }
  try {
    const facts = await file.stat({ bigint: true });
    const expected = maskBytes(tokens);
    if (Number(facts.size) !== expected) {
      throw new DataError(
        `${path}: expected a loss mask of ${expected} bytes, a bit for each of ${tokens} tokens of ${shard}, ` +
          `but received ${facts.size}`,
      );
    }
    const last = new Uint8Array(1);
    if (tokens % 8 > 0 && (await readFully(file, last, expected - 1)) === 1 && last[0]! >> (tokens % 8) !== 0) {
      const bits = `zeros in the ${8 - (tokens % 8)} bits behind the last token's`;
      throw new DataError(`${path}: expected ${bits} but received a last byte of ${last[0]}`);
    }
    return new ShardMask(path, facts, files);
  } finally {
    await file.close();
  }
}

/** Whether any token of some shards counts; reads up to the first one that does. */
export async function countsAny(
  shards: Iterable<{ readonly mask: ShardMask | null; readonly tokenCount: number }>,
): Promise<boolean> {
  const read = new Uint8Array(2 ** 16);
  for (const { mask, tokenCount } of shards) {
    if (mask === null && tokenCount > 0) return true;
    for (let at = 0; at < tokenCount; at += read.length) {
      const part = read.subarray(0, Math.min(read.length, tokenCount - at));
      await mask!.read(at, part);
      if (part.includes(1)) return true;
    }
  }
  return false;
}
