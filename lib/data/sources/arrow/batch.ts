/** Record batches: which of their buffers the text needs, read in the order in which they lie. */
import xxhash from "xxhash-wasm";
import type { ByteReader } from "../byte_reader.js";
import { checkBlock } from "../expansion.js";
import { zstdDecoder } from "../zstd.js";
import type { Table } from "./flatbuffer.js";
import { decodeLz4Frame } from "./lz4.js";

/** The metadata of a record batch. */
export class Batch {
  readonly length: number;
  readonly variadicCounts: readonly number[];
  readonly #ranges: readonly number[];
  readonly #codec: number | undefined;

  constructor(
    table: Table,
    readonly bodyLength: number,
  ) {
    this.length = table.long(0);
    this.#ranges = table.longs(2, 2);
    this.#codec = table.table(3)?.byte(0);
    this.variadicCounts = table.longs(4, 1);
  }

  get isCompressed(): boolean {
    return this.#codec !== undefined;
  }

  /** Offset and length of a buffer in the body. */
  range(buffer: number): { offset: number; length: number } {
    const offset = this.#ranges[2 * buffer];
    const length = this.#ranges[2 * buffer + 1];
    if (offset === undefined || length === undefined || offset < 0 || length < 0 || offset + length > this.bodyLength) {
      throw new Error("a buffer that is not in its record batch");
    }
    return { offset, length };
  }

  /** Reads buffers of the body, which begins at `begin` of the reader, and decompresses them. */
  async read(reader: ByteReader, begin: number, buffers: readonly number[]): Promise<Uint8Array[]> {
    const found: Uint8Array[] = [];
    for (const [order, buffer] of [...buffers.entries()].sort(
      (a, b) => this.range(a[1]).offset - this.range(b[1]).offset,
    )) {
      const { offset, length } = this.range(buffer);
      if (length > 0) await this.moveTo(reader, begin, offset);
      found[order] = await this.#decompress(length > 0 ? await reader.exactly(length) : new Uint8Array(0));
    }
    return found;
  }

  /** Passes over the body's bytes before `offset`. */
  async moveTo(reader: ByteReader, begin: number, offset: number): Promise<void> {
    if (begin + offset < reader.position) throw new Error("buffers that lie over one another");
    await reader.skip(begin + offset - reader.position);
  }

  async #decompress(bytes: Uint8Array): Promise<Uint8Array> {
    if (this.#codec === undefined || bytes.length === 0) return bytes;
    const size = Number(new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength).getBigInt64(0, true));
    const data = bytes.subarray(8);
    if (size === -1) return data;
    checkBlock(data.length, size);
    if (this.#codec === 0) return decodeLz4Frame(data, size, await xxhash());
    if (this.#codec !== 1) throw new Error(`a compression that is not known (${this.#codec})`);
    const content = (await zstdDecoder())(data, size);
    if (content.length !== size) throw new Error(`a buffer of ${size} bytes that holds ${content.length}`);
    return content;
  }
}
