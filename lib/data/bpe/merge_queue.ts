/**
 * The pairs that may be merged next: most frequent first, among equals the one of the smaller token numbers, as in the
 * package's trainer. A pair can be in the queue more than once, each time with other words; the oldest goes first then.
 */
import type { PairNumber, PairTable } from "./pair_table.js";
import { grown } from "./word_counts.js";

/** Children of a node: four make a lower heap than two, with all four in one cache line. */
const CHILDREN = 4;

/** An entry: its place in the arrays of the queue. */
export type Entry = number;

export class MergeQueue {
  /** For each entry: its pair, and how often that occurred when it came. */
  pairs = new Int32Array(1 << 12);
  counts = new Float64Array(1 << 12);
  /** The list of the words with the pair: its array in a `NumberLists`, its start there, its length. */
  arrays = new Int32Array(1 << 12);
  starts = new Int32Array(1 << 12);
  lengths = new Int32Array(1 << 12);
  /** Grows with every new entry. */
  #ages = new Float64Array(1 << 12);
  #age = 0;
  readonly #table: PairTable;
  readonly #free: Entry[] = [];
  #made = 0;
  #heap = new Int32Array(1 << 12);
  #size = 0;

  constructor(table: PairTable) {
    this.#table = table;
  }

  /** Adds a pair with the number that it has in the table, and its list of words. */
  add(pair: PairNumber, { array, start, length }: { array: number; start: number; length: number }): void {
    const entry = this.#free.pop() ?? this.#make();
    this.pairs[entry] = pair;
    this.arrays[entry] = array;
    this.starts[entry] = start;
    this.lengths[entry] = length;
    this.#ages[entry] = this.#age++;
    this.requeue(entry);
  }

  /** Puts an entry back that `pop` gave, with the number that its pair has in the table now. */
  requeue(entry: Entry): void {
    this.counts[entry] = this.#table.counts[this.pairs[entry]!]!;
    if (this.#size === this.#heap.length) this.#heap = grown(this.#heap, 2 * this.#size);
    let at = this.#size++;
    while (at > 0) {
      const parent = Math.floor((at - 1) / CHILDREN);
      const above = this.#heap[parent]!;
      if (!this.#before(entry, above)) break;
      this.#heap[at] = above;
      at = parent;
    }
    this.#heap[at] = entry;
  }

  /** Takes the first entry out; undefined if there is none. Its fields stay until `release`. */
  pop(): Entry | undefined {
    if (this.#size === 0) return undefined;
    const first = this.#heap[0]!;
    const moved = this.#heap[--this.#size]!;
    let at = 0;
    for (;;) {
      const children = at * CHILDREN + 1;
      if (children >= this.#size) break;
      let best = children;
      const end = Math.min(children + CHILDREN, this.#size);
      for (let child = children + 1; child < end; child++) {
        if (this.#before(this.#heap[child]!, this.#heap[best]!)) best = child;
      }
      if (!this.#before(this.#heap[best]!, moved)) break;
      this.#heap[at] = this.#heap[best]!;
      at = best;
    }
    this.#heap[at] = moved;
    return first;
  }

  /** Gives up an entry that `pop` gave. */
  release(entry: Entry): void {
    this.#free.push(entry);
  }

  #make(): Entry {
    if (this.#made === this.pairs.length) {
      const length = 2 * this.#made;
      this.pairs = grown(this.pairs, length);
      this.counts = grown(this.counts, length);
      this.arrays = grown(this.arrays, length);
      this.starts = grown(this.starts, length);
      this.lengths = grown(this.lengths, length);
      this.#ages = grown(this.#ages, length);
    }
    return this.#made++;
  }

  #before(a: Entry, b: Entry): boolean {
    if (this.counts[a] !== this.counts[b]) return this.counts[a]! > this.counts[b]!;
    const [pairA, pairB] = [this.pairs[a]!, this.pairs[b]!];
    if (pairA === pairB) return this.#ages[a]! < this.#ages[b]!;
    const { left, right } = this.#table;
    if (left[pairA] !== left[pairB]) return left[pairA]! < left[pairB]!;
    return right[pairA]! < right[pairB]!;
  }
}
