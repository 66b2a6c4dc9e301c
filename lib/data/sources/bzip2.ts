/**
 * bzip2, with the CRCs of its blocks and streams. The packages for it take twice the time and many times a block's
 * memory, or need the whole file in memory.
 */
import { ByteReader, CUT_SHORT } from "./byte_reader.js";
import { Bits } from "./bzip2/bits.js";
import { BlockDecoder } from "./bzip2/block.js";

/** More than a block of 900,000 bytes can take: 20 bits a byte, and its tables. */
const BLOCK = 2_400_000;

const BLOCK_MARK = 0x314159265359;
const END_MARK = 0x177245385090;

/** The content of bzip2 data: any number of streams. Throws an Error that says what is damaged. */
export async function* bunzip2(bytes: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const input = new Input(bytes);
  try {
    for (let streams = 0; ; streams++) {
      const header = await input.bits(4);
      if (header === undefined && streams > 0) return;
      if (header === undefined || header.read(24) !== 0x425a68) {
        throw new Error(streams === 0 ? "it does not begin like bzip2 data" : "other data after the last stream");
      }
      const level = header.read(8) - 0x30;
      if (level < 1 || level > 9) throw new Error("it does not begin like bzip2 data");
      input.take(header);
      yield* stream(input, level);
    }
  } finally {
    await input.close();
  }
}

async function* stream(input: Input, level: number): AsyncGenerator<Uint8Array> {
  const block = new BlockDecoder(level * 100_000);
  // A block begins where the one before ended, within a byte.
  let offset = 0;
  let combined = 0;
  for (;;) {
    const bits = await input.bits(BLOCK);
    if (bits === undefined) throw new Error(CUT_SHORT);
    bits.read(offset);
    const mark = bits.read(24) * 2 ** 24 + bits.read(24);
    const crc = bits.read(16) * 2 ** 16 + bits.read(16);
    if (mark === END_MARK) {
      if (crc !== combined) throw new Error("its CRC does not match");
      bits.align();
      input.take(bits);
      return;
    }
    if (mark !== BLOCK_MARK) throw new Error("a damaged block");
    block.read(bits);
    offset = bits.offset;
    input.take(bits);
    yield* block.content(crc);
    combined = (((combined << 1) | (combined >>> 31)) ^ crc) >>> 0;
  }
}

/** Bytes read ahead, so that a block is decoded at once. */
class Input {
  readonly #reader: ByteReader;
  #bytes: Uint8Array = new Uint8Array(0);

  constructor(bytes: AsyncIterable<Uint8Array>) {
    this.#reader = new ByteReader(bytes);
  }

  /** At least `count` bytes' bits, or all that are left; undefined at the end. */
  async bits(count: number): Promise<Bits | undefined> {
    if (this.#bytes.length < count) {
      const more = await this.#reader.upTo(count - this.#bytes.length);
      this.#bytes = this.#bytes.length === 0 ? more : Buffer.concat([this.#bytes, more]);
    }
    return this.#bytes.length === 0 ? undefined : new Bits(this.#bytes);
  }

  /** Leaves out the bytes that were taken whole. */
  take(bits: Bits): void {
    this.#bytes = this.#bytes.subarray(bits.wholeBytes);
  }

  async close(): Promise<void> {
    await this.#reader.close();
  }
}
