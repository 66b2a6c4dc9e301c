/** One block: Huffman codes, move to front, the Burrows-Wheeler transform and runs. */
import type { Bits } from "./bits.js";
import { type PrefixCode, readCode } from "./huffman.js";

/** Symbols after which the code may change. */
const GROUP = 50;

const OUT = 1 << 18;

const CRC = Int32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte << 24;
  for (let bit = 0; bit < 8; bit++) crc = crc < 0 ? (crc << 1) ^ 0x04c11db7 : crc << 1;
  return crc;
});

/** Decodes blocks of at most `size` bytes before runs are expanded. */
export class BlockDecoder {
  /** A byte of the last column in the low 8 bits, and above it where the next byte is. */
  readonly #links: Uint32Array;
  #count = 0;
  /** Where the next byte is, and how many are left. */
  #at = 0;
  #left = 0;
  /** The byte before, and how often it came; after a run there is none. */
  #previous = -1;
  #repeated = 0;
  #crc = -1;

  constructor(size: number) {
    this.#links = new Uint32Array(size);
  }

  /** Reads a block, after its mark and its CRC. */
  read(bits: Bits): void {
    if (bits.read(1) === 1) throw new Error("a block of bzip2 before version 0.9.5");
    const origin = bits.read(24);
    const bytes = readBytesInUse(bits);
    const symbols = bytes.length + 2;
    const groups = bits.read(3);
    const selectors = bits.read(15);
    if (bytes.length === 0 || groups < 2 || groups > 6 || selectors === 0) throw new Error("a damaged block");
    const order = [0, 1, 2, 3, 4, 5];
    const chosen = new Uint8Array(selectors);
    for (let i = 0; i < selectors; i++) {
      let at = 0;
      while (bits.read(1) === 1) if (++at >= groups) throw new Error("a damaged block");
      const [code] = order.splice(at, 1);
      order.unshift(code!);
      chosen[i] = code!;
    }
    const codes = Array.from({ length: groups }, () => readCode(bits, symbols));
    const counts = this.#readSymbols(bits, bytes, chosen, codes);
    if (origin >= this.#count) throw new Error("a damaged block");
    this.#link(counts, origin);
  }

  /** Fills the low bytes of #links; returns how often each byte is there. */
  #readSymbols(bits: Bits, front: Uint8Array, chosen: Uint8Array, codes: PrefixCode[]): Uint32Array {
    const links = this.#links;
    const counts = new Uint32Array(256);
    const end = front.length + 1;
    let count = 0;
    let run = 0;
    let weight = 1;
    for (let group = 0; ; group++) {
      if (group >= chosen.length) throw new Error("a damaged block");
      const code = codes[chosen[group]!]!;
      for (let i = 0; i < GROUP; i++) {
        const symbol = code.read(bits);
        if (symbol < 2) {
          // The run's length in base 2 with the digits 1 and 2.
          run += weight << symbol;
          weight <<= 1;
          if (run > links.length) throw new Error("a damaged block");
          continue;
        }
        if (run > 0) {
          if (count + run > links.length) throw new Error("a damaged block");
          links.fill(front[0]!, count, count + run);
          counts[front[0]!]! += run;
          count += run;
          run = 0;
          weight = 1;
        }
        if (symbol === end) {
          this.#count = count;
          return counts;
        }
        if (count >= links.length) throw new Error("a damaged block");
        const at = symbol - 1;
        const byte = front[at]!;
        front.copyWithin(1, 0, at);
        front[0] = byte;
        links[count++] = byte;
        counts[byte]!++;
      }
    }
  }

  /** Sorts the last column to get the first, which links each byte to the next. */
  #link(counts: Uint32Array, origin: number): void {
    const links = this.#links;
    const starts = new Uint32Array(256);
    for (let byte = 1; byte < 256; byte++) starts[byte] = starts[byte - 1]! + counts[byte - 1]!;
    for (let i = 0; i < this.#count; i++) {
      const at = starts[links[i]! & 255]!++;
      links[at]! |= i << 8;
    }
    this.#at = links[origin]! >>> 8;
  }

  /** The content of the block that was read. Throws an Error at its end if its CRC is not `expected`. */
  *content(expected: number): Generator<Uint8Array> {
    this.#left = this.#count;
    this.#previous = -1;
    this.#repeated = 0;
    this.#crc = -1;
    while (this.#left > 0) {
      const out = new Uint8Array(OUT);
      yield out.subarray(0, this.#write(out));
    }
    if (~this.#crc >>> 0 !== expected) throw new Error("its CRC does not match");
  }

  /** Follows the links and expands runs until `out` is almost full; returns how much was written. */
  #write(out: Uint8Array): number {
    const links = this.#links;
    let at = this.#at;
    let left = this.#left;
    let previous = this.#previous;
    let repeated = this.#repeated;
    let crc = this.#crc;
    let to = 0;
    for (; left > 0 && to + 255 <= out.length; left--) {
      const link = links[at]!;
      const byte = link & 255;
      at = link >>> 8;
      if (repeated === 4) {
        // After four equal bytes comes how many more there are.
        for (let i = 0; i < byte; i++) {
          crc = (crc << 8) ^ CRC[(crc >>> 24) ^ previous]!;
          out[to++] = previous;
        }
        repeated = 0;
        previous = -1;
        continue;
      }
      repeated = byte === previous ? repeated + 1 : 1;
      previous = byte;
      crc = (crc << 8) ^ CRC[(crc >>> 24) ^ byte]!;
      out[to++] = byte;
    }
    this.#at = at;
    this.#left = left;
    this.#previous = previous;
    this.#repeated = repeated;
    this.#crc = crc;
    return to;
  }
}

/** The bytes that the block has, in order. */
function readBytesInUse(bits: Bits): Uint8Array {
  const rows = bits.read(16);
  const bytes: number[] = [];
  for (let row = 0; row < 16; row++) {
    if (((rows >> (15 - row)) & 1) === 0) continue;
    const columns = bits.read(16);
    for (let column = 0; column < 16; column++) {
      if (((columns >> (15 - column)) & 1) === 1) bytes.push(16 * row + column);
    }
  }
  return Uint8Array.from(bytes);
}
