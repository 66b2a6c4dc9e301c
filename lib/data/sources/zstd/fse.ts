/** Finite state entropy: the tables of RFC 8878, section 4.1. */

/** A decoding table: for each state its symbol, the bits to read for the next state, and what those are added to. */
export interface FseTable {
  readonly log: number;
  readonly symbol: Uint8Array;
  readonly bits: Uint8Array;
  readonly next: Uint16Array;
}

/** Builds the table of a distribution; a count of -1 is a probability below one state's. */
export function buildTable(counts: ArrayLike<number>, log: number): FseTable {
  const size = 1 << log;
  const symbol = new Uint8Array(size);
  const bits = new Uint8Array(size);
  const next = new Uint16Array(size);
  const state = new Uint16Array(counts.length);
  let high = size;
  for (let s = 0; s < counts.length; s++) {
    if (counts[s] === -1) {
      symbol[--high] = s;
      state[s] = 1;
    } else state[s] = counts[s]!;
  }
  const step = (size >> 1) + (size >> 3) + 3;
  let position = 0;
  for (let s = 0; s < counts.length; s++) {
    for (let i = 0; i < counts[s]!; i++) {
      symbol[position] = s;
      do position = (position + step) & (size - 1);
      while (position >= high);
    }
  }
  if (position !== 0) throw new Error("an entropy table does not add up");
  for (let i = 0; i < size; i++) {
    const x = state[symbol[i]!]!++;
    const width = log - (31 - Math.clz32(x));
    bits[i] = width;
    next[i] = (x << width) - size;
  }
  return { log, symbol, bits, next };
}

/** The table of a single symbol, which takes no bits. */
export function singleSymbol(symbol: number): FseTable {
  return { log: 0, symbol: Uint8Array.of(symbol), bits: new Uint8Array(1), next: new Uint16Array(1) };
}

/** Reads a table's description at `from`; returns the table and where the description ends. */
export function readTable(
  data: Uint8Array,
  from: number,
  end: number,
  maxLog: number,
  maxSymbol: number,
): { table: FseTable; end: number } {
  let position = from * 8;
  // Past the end there are zeros: whether the description fits is checked below.
  const byte = (at: number): number => (at < end ? data[at]! : 0);
  const peek = (): number => {
    const at = position >> 3;
    return (byte(at) | (byte(at + 1) << 8) | (byte(at + 2) << 16)) >>> (position & 7);
  };
  const log = (peek() & 15) + 5;
  position += 4;
  if (log > maxLog) throw new Error(`an entropy table of ${log} bits, where at most ${maxLog} may be`);
  const counts: number[] = [];
  let remaining = (1 << log) + 1;
  while (remaining > 1 && position <= end * 8) {
    const width = 32 - Math.clz32(remaining);
    const low = (1 << (width - 1)) - 1;
    const short = (1 << width) - 1 - remaining;
    let value = peek() & ((1 << width) - 1);
    if ((value & low) < short) {
      value &= low;
      position += width - 1;
    } else {
      if (value > low) value -= short;
      position += width;
    }
    const count = value - 1;
    remaining -= Math.abs(count);
    counts.push(count);
    if (count !== 0) continue;
    let repeat: number;
    do {
      repeat = peek() & 3;
      position += 2;
      for (let i = 0; i < repeat; i++) counts.push(0);
    } while (repeat === 3 && counts.length <= maxSymbol + 1);
  }
  const last = (position + 7) >> 3;
  if (remaining !== 1 || counts.length > maxSymbol + 1 || last > end) throw new Error("a damaged entropy table");
  return { table: buildTable(counts, log), end: last };
}
