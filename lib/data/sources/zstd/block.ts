/** Compressed blocks: RFC 8878, section 3.1.1.3. */
import { buildTable, type FseTable, readTable, singleSymbol } from "./fse.js";
import { type History, MAX_BLOCK } from "./history.js";
import { decodeStream, type HuffmanTable, readHuffman } from "./huffman.js";

/** Zeros around a block's bytes, so that reads of 4 bytes just beyond it stay within the array. */
const PAD = 64;

interface Code {
  readonly base: Uint32Array;
  readonly bits: Uint8Array;
  readonly maxLog: number;
  readonly standard: FseTable;
}

function code(first: number, bits: readonly number[], maxLog: number, counts: readonly number[], log: number): Code {
  const base = new Uint32Array(bits.length);
  for (let i = 0, next = first; i < bits.length; i++) {
    base[i] = next;
    next += 2 ** bits[i]!;
  }
  return { base, bits: Uint8Array.from(bits), maxLog, standard: buildTable(counts, log) };
}

const times = (count: number, value: number): number[] => new Array<number>(count).fill(value);

const LITERAL_LENGTHS = code(
  0,
  [...times(16, 0), 1, 1, 1, 1, 2, 2, 3, 3, 4, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16],
  9,
  [4, 3, ...times(11, 2), 1, 1, 1, ...times(9, 2), 3, 2, ...times(5, 1), ...times(4, -1)],
  6,
);
const MATCH_LENGTHS = code(
  3,
  [...times(32, 0), 1, 1, 1, 1, 2, 2, 3, 3, 4, 4, 5, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16],
  9,
  [1, 4, 3, ...times(6, 2), ...times(37, 1), ...times(7, -1)],
  6,
);
const OFFSETS = code(
  1,
  Array.from({ length: 32 }, (_, i) => i),
  8,
  [...times(6, 1), 2, 2, 2, ...times(15, 1), ...times(5, -1)],
  5,
);

/** Decodes the compressed blocks of a frame; trees, tables and offsets go on from block to block. */
export class BlockDecoder {
  readonly #input = new Uint8Array(MAX_BLOCK + 2 * PAD);
  readonly #view = new DataView(this.#input.buffer);
  readonly #literals = new Uint8Array(MAX_BLOCK);
  #huffman: HuffmanTable | undefined;
  #tables: (FseTable | undefined)[] = [];
  #offsets = [1, 4, 8];

  /** Begins a frame. */
  reset(): void {
    this.#huffman = undefined;
    this.#tables = [];
    this.#offsets = [1, 4, 8];
  }

  /** Appends what a block holds to `history`, which has room for it: at most `limit` bytes. */
  decode(block: Uint8Array, history: History, limit: number): void {
    this.#input.set(block, PAD);
    this.#input.fill(0, PAD + block.length, PAD + block.length + 8);
    const end = PAD + block.length;
    const { count, next } = this.#readLiterals(PAD, end, limit);
    this.#sequences(next, end, count, history, limit);
  }

  /** Decodes the literals section into #literals. */
  #readLiterals(from: number, end: number, limit: number): { count: number; next: number } {
    const input = this.#input;
    const header = input[from]!;
    const type = header & 3;
    const format = (header >> 2) & 3;
    if (type < 2) {
      const size = format === 3 ? 3 : format === 1 ? 2 : 1;
      const count = this.#view.getUint32(from, true) >>> (size === 1 ? 3 : 4);
      const regenerated = size === 3 ? count & 0xfffff : size === 2 ? count & 0xfff : count & 0x1f;
      const start = from + size;
      const length = type === 0 ? regenerated : 1;
      if (regenerated > limit || start + length > end) throw new Error("literals that do not fit their block");
      if (type === 0) this.#literals.set(input.subarray(start, start + length));
      else this.#literals.fill(input[start]!, 0, regenerated);
      return { count: regenerated, next: start + length };
    }
    const width = format < 2 ? 10 : format === 2 ? 14 : 18;
    const size = (4 + 2 * width) / 8;
    if (from + size > end) throw new Error("literals that do not fit their block");
    const low = this.#view.getUint32(from, true);
    const count = (low >>> 4) & ((1 << width) - 1);
    // The second number begins at bit 4 + width, at most 22, and may reach into a fifth byte.
    const shift = 4 + width;
    const compressed = (low >>> shift) | (shift + width > 32 ? input[from + 4]! << (32 - shift) : 0);
    const length = compressed & ((1 << width) - 1);
    let start = from + size;
    const last = start + length;
    if (count > limit || last > end) throw new Error("literals that do not fit their block");
    if (type === 2) {
      const tree = readHuffman(input, start, last);
      this.#huffman = tree.table;
      start = tree.end;
    }
    const table = this.#huffman;
    if (table === undefined) throw new Error("literals without a Huffman tree");
    if (format === 0) decodeStream(this.#view, start, last, table, this.#literals, 0, count);
    else this.#fourStreams(start, last, table, count);
    return { count, next: last };
  }

  #fourStreams(from: number, end: number, table: HuffmanTable, count: number): void {
    const part = (count + 3) >> 2;
    if (from + 6 > end || 3 * part > count) throw new Error("damaged literals");
    let start = from + 6;
    for (let i = 0; i < 4; i++) {
      const last = i < 3 ? start + this.#view.getUint16(from + 2 * i, true) : end;
      if (last > end) throw new Error("damaged literals");
      decodeStream(this.#view, start, last, table, this.#literals, i * part, i < 3 ? (i + 1) * part : count);
      start = last;
    }
  }

  #readTables(from: number, end: number, modes: number): number {
    let at = from;
    for (const [i, kind] of [LITERAL_LENGTHS, OFFSETS, MATCH_LENGTHS].entries()) {
      const mode = (modes >> (6 - 2 * i)) & 3;
      const maxSymbol = kind.bits.length - 1;
      if (mode === 0) this.#tables[i] = kind.standard;
      else if (mode === 1) {
        const symbol = this.#input[at++]!;
        if (symbol > maxSymbol) throw new Error("a sequence code that does not exist");
        this.#tables[i] = singleSymbol(symbol);
      } else if (mode === 2) {
        const read = readTable(this.#input, at, end, kind.maxLog, maxSymbol);
        this.#tables[i] = read.table;
        at = read.end;
      } else if (this.#tables[i] === undefined) throw new Error("an entropy table that was not given before");
    }
    return at;
  }

  /** Writes literals and copies of earlier bytes to `history`. */
  #sequences(from: number, end: number, literalCount: number, history: History, limit: number): void {
    const input = this.#input;
    const view = this.#view;
    const out = history.bytes;
    const literals = this.#literals;
    const begin = history.end;
    if (from >= end) throw new Error("a block without its sequences");
    let at = from;
    let count = input[at++]!;
    if (count === 255) {
      count = view.getUint16(at, true) + 0x7f00;
      at += 2;
    } else if (count > 127) count = ((count - 128) << 8) | input[at++]!;
    let to = begin;
    let literal = 0;
    if (count > 0) {
      const modes = input[at++]!;
      if ((modes & 3) !== 0) throw new Error("reserved bits that are set");
      at = this.#readTables(at, end, modes);
      if (at >= end || input[end - 1] === 0) throw new Error("damaged sequences");
      const [lengths, offsets, matches] = this.#tables as [FseTable, FseTable, FseTable];
      const first = at * 8;
      let position = end * 8 - 1 - (Math.clz32(input[end - 1]!) - 24);
      // At most 25 bits. What lies before the first bit is told after each sequence, which takes at most 12 bytes.
      const read = (width: number): number => {
        position -= width;
        return (view.getUint32(position >>> 3, true) >>> (position & 7)) & ((1 << width) - 1);
      };
      let lengthState = read(lengths.log);
      let offsetState = read(offsets.log);
      let matchState = read(matches.log);
      let [recent, older, oldest] = this.#offsets as [number, number, number];
      for (let i = 0; i < count; i++) {
        const offsetCode = offsets.symbol[offsetState]!;
        const lengthCode = lengths.symbol[lengthState]!;
        const matchCode = matches.symbol[matchState]!;
        const high = offsetCode > 24 ? read(offsetCode - 24) * 2 ** 24 : 0;
        const value = OFFSETS.base[offsetCode]! + high + read(Math.min(offsetCode, 24));
        const matchLength = MATCH_LENGTHS.base[matchCode]! + read(MATCH_LENGTHS.bits[matchCode]!);
        const length = LITERAL_LENGTHS.base[lengthCode]! + read(LITERAL_LENGTHS.bits[lengthCode]!);
        if (i + 1 < count) {
          lengthState = lengths.next[lengthState]! + read(lengths.bits[lengthState]!);
          matchState = matches.next[matchState]! + read(matches.bits[matchState]!);
          offsetState = offsets.next[offsetState]! + read(offsets.bits[offsetState]!);
        }
        if (position < first) throw new Error("sequences that are cut short");
        let offset: number;
        if (value > 3) {
          offset = value - 3;
          oldest = older;
          older = recent;
          recent = offset;
        } else {
          const which = length === 0 ? value + 1 : value;
          if (which === 1) offset = recent;
          else {
            offset = which === 2 ? older : which === 3 ? oldest : recent - 1;
            if (which > 2) oldest = older;
            older = recent;
            recent = offset;
          }
        }
        if (literal + length > literalCount || to - begin + length + matchLength > limit) {
          throw new Error("a block that holds more than it may");
        }
        if (length > 32) out.set(literals.subarray(literal, literal + length), to);
        else for (let j = 0; j < length; j++) out[to + j] = literals[literal + j]!;
        literal += length;
        to += length;
        if (offset === 0 || offset > to) throw new Error("a copy from before the frame");
        const source = to - offset;
        if (offset >= matchLength && matchLength > 64) out.copyWithin(to, source, source + matchLength);
        else for (let j = 0; j < matchLength; j++) out[to + j] = out[source + j]!;
        to += matchLength;
      }
      if (position !== first) throw new Error("sequences with bits left over");
      this.#offsets = [recent, older, oldest];
    } else if (at !== end) throw new Error("bytes left over in a block");
    const rest = literalCount - literal;
    if (to - begin + rest > limit) throw new Error("a block that holds more than it may");
    out.set(literals.subarray(literal, literalCount), to);
    history.end = to + rest;
  }
}
