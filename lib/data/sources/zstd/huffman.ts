/** Huffman-coded literals: RFC 8878, section 4.2. */
import { readTable } from "./fse.js";

/** A decoding table: for each code of `log` bits, its symbol in the low byte and its length above. */
export interface HuffmanTable {
  readonly log: number;
  readonly codes: Uint16Array;
}

const MAX_LOG = 11;

/** Reads a tree's description at `from`; returns the table and where the description ends. */
export function readHuffman(data: Uint8Array, from: number, end: number): { table: HuffmanTable; end: number } {
  if (from >= end) throw new Error("a Huffman tree that is cut short");
  const header = data[from]!;
  const weights = new Uint8Array(256);
  let count: number;
  let last: number;
  if (header >= 128) {
    count = header - 127;
    last = from + 1 + ((count + 1) >> 1);
    if (last > end) throw new Error("a Huffman tree that is cut short");
    for (let i = 0; i < count; i++) weights[i] = (data[from + 1 + (i >> 1)]! >> (i % 2 === 0 ? 4 : 0)) & 15;
  } else {
    last = from + 1 + header;
    if (last > end) throw new Error("a Huffman tree that is cut short");
    count = readWeights(data, from + 1, last, weights);
  }
  return { table: fromWeights(weights, count), end: last };
}

/** Two interleaved states, read backwards until the bits run out. */
function readWeights(data: Uint8Array, from: number, end: number, weights: Uint8Array): number {
  const { table, end: start } = readTable(data, from, end, 6, 255);
  if (start >= end || data[end - 1] === 0) throw new Error("a damaged Huffman tree");
  const first = start * 8;
  let position = end * 8 - 1 - (Math.clz32(data[end - 1]!) - 24);
  // Bits before the first are zeros.
  const read = (width: number): number => {
    position -= width;
    let value = 0;
    for (let i = width - 1; i >= 0; i--) {
      const at = position + i;
      value = (value << 1) | (at < first ? 0 : (data[at >> 3]! >> (at & 7)) & 1);
    }
    return value;
  };
  const states = [read(table.log), read(table.log)];
  if (position < first) throw new Error("a damaged Huffman tree");
  let count = 0;
  for (let turn = 0; ; turn ^= 1) {
    if (count >= 254) throw new Error("a damaged Huffman tree");
    const state = states[turn]!;
    weights[count++] = table.symbol[state]!;
    states[turn] = table.next[state]! + read(table.bits[state]!);
    if (position < first) {
      weights[count++] = table.symbol[states[turn ^ 1]!]!;
      return count;
    }
  }
}

/** The weight of the last symbol is what completes the sum to a power of two. */
function fromWeights(weights: Uint8Array, count: number): HuffmanTable {
  let sum = 0;
  for (let i = 0; i < count; i++) {
    if (weights[i]! > MAX_LOG) throw new Error("a damaged Huffman tree");
    if (weights[i]! > 0) sum += 1 << (weights[i]! - 1);
  }
  const log = 32 - Math.clz32(sum);
  const rest = (1 << log) - sum;
  if (sum === 0 || log > MAX_LOG || (rest & (rest - 1)) !== 0) throw new Error("a damaged Huffman tree");
  weights[count] = 32 - Math.clz32(rest);
  const codes = new Uint16Array(1 << log);
  let at = 0;
  for (let weight = 1; weight <= log; weight++) {
    for (let symbol = 0; symbol <= count; symbol++) {
      if (weights[symbol] !== weight) continue;
      codes.fill(symbol | ((log + 1 - weight) << 8), at, at + (1 << (weight - 1)));
      at += 1 << (weight - 1);
    }
  }
  return { log, codes };
}

/**
 * Decodes one stream, which is read backwards from its end, into out[to..toEnd). `view` must have four bytes beyond the
 * stream.
 */
export function decodeStream(
  view: DataView,
  from: number,
  end: number,
  { log, codes }: HuffmanTable,
  out: Uint8Array,
  to: number,
  toEnd: number,
): void {
  if (end <= from) throw new Error("literals that are cut short");
  const last = view.getUint8(end - 1);
  if (last === 0) throw new Error("damaged literals");
  const first = from * 8;
  const mask = (1 << log) - 1;
  let position = end * 8 - 1 - (Math.clz32(last) - 24);
  let at = to;
  // Two codes at a time, of at most 22 bits, from one read of at least 25.
  while (at + 1 < toEnd && position - 2 * log >= first) {
    const start = position - 2 * log;
    const window = view.getUint32(start >>> 3, true) >>> (start & 7);
    const one = codes[(window >>> log) & mask]!;
    const used = one >>> 8;
    const two = codes[(window >>> (log - used)) & mask]!;
    out[at] = one;
    out[at + 1] = two;
    at += 2;
    position -= used + (two >>> 8);
  }
  for (; at < toEnd; at++) {
    const start = Math.max(position - log, first);
    const have = position - start;
    if (have < 0) throw new Error("literals that are cut short");
    const window = (view.getUint32(start >>> 3, true) >>> (start & 7)) & ((1 << have) - 1);
    const code = codes[window << (log - have)]!;
    out[at] = code;
    position -= code >>> 8;
  }
  if (position !== first) throw new Error("damaged literals");
}
