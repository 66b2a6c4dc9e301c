/** The lengths of a part's documents: for each its tokens and the bytes of its text, as two little-endian uint64. */
import { createHash } from "node:crypto";
import { type FileHandle, open } from "node:fs/promises";
import { readFully } from "../../disk/read_fully.js";

const RECORD = 16;

/** Records written and read at a time. */
const RECORDS = 1 << 14;

export class LengthWriter {
  readonly #file: FileHandle;
  readonly #hash = createHash("sha256");
  readonly #buffer = new BigUint64Array(2 * RECORDS);
  #count = 0;
  #current: { tokens: number; bytes: number } | undefined;

  private constructor(file: FileHandle) {
    this.#file = file;
  }

  static async create(path: string): Promise<LengthWriter> {
    return new LengthWriter(await open(path, "w"));
  }

  /** Counts a document, or more of it. */
  async add(continues: boolean, tokens: number, bytes: number): Promise<void> {
    if (!continues) {
      await this.#end();
      this.#current = { tokens: 0, bytes: 0 };
    }
    this.#current!.tokens += tokens;
    this.#current!.bytes += bytes;
  }

  /** Completes the file; returns its SHA-256 in hex. */
  async finish(): Promise<string> {
    await this.#end();
    await this.#flush();
    await this.#file.sync();
    await this.#file.close();
    return this.#hash.digest("hex");
  }

  async abort(): Promise<void> {
    await this.#file.close().catch(() => undefined);
  }

  async #end(): Promise<void> {
    if (this.#current === undefined) return;
    this.#buffer[2 * this.#count] = BigInt(this.#current.tokens);
    this.#buffer[2 * this.#count + 1] = BigInt(this.#current.bytes);
    this.#current = undefined;
    if (++this.#count === RECORDS) await this.#flush();
  }

  async #flush(): Promise<void> {
    const bytes = new Uint8Array(this.#buffer.buffer, 0, RECORD * this.#count);
    this.#hash.update(bytes);
    await this.#file.writeFile(bytes);
    this.#count = 0;
  }
}

export class LengthReader {
  readonly #file: FileHandle;
  readonly #buffer = new BigUint64Array(2 * RECORDS);
  #position = 0;
  #next = 0;
  #count = 0;

  private constructor(file: FileHandle) {
    this.#file = file;
  }

  static async open(path: string): Promise<LengthReader> {
    return new LengthReader(await open(path, "r"));
  }

  /** The next document's lengths; there must be one. */
  async next(): Promise<{ tokens: number; bytes: number }> {
    if (this.#next === this.#count) {
      const bytes = await readFully(this.#file, new Uint8Array(this.#buffer.buffer), this.#position);
      this.#position += bytes;
      [this.#next, this.#count] = [0, Math.floor(bytes / RECORD)];
      if (this.#count < 1) throw new Error("more documents than lengths");
    }
    const at = 2 * this.#next++;
    return { tokens: Number(this.#buffer[at]!), bytes: Number(this.#buffer[at + 1]!) };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#file.close();
  }
}
