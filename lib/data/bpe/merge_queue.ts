/**
 * The pairs that may be merged next: most frequent first, among equals the one of the smaller token numbers, as in the
 * package's trainer.
 */
import type { PairNumber, PairTable } from "./pair_table.js";
import { grown } from "./word_counts.js";

/** Children of a node: four make a lower heap than two, and lie side by side in memory. */
const CHILDREN = 4;

export class MergeQueue {
  readonly #table: PairTable;
  /** How often each pair occurred when it was added. */
  #counts = new Float64Array(1 << 12);
  #heap = new Int32Array(1 << 12);
  #size = 0;

  constructor(table: PairTable) {
    this.#table = table;
  }

  /** Adds a pair with the count that it has in the table now. */
  add(pair: PairNumber): void {
    if (pair >= this.#counts.length) this.#counts = grown(this.#counts, 2 * pair);
    if (this.#size === this.#heap.length) this.#heap = grown(this.#heap, 2 * this.#size);
    this.#counts[pair] = this.#table.counts[pair]!;
    let at = this.#size++;
    while (at > 0) {
      const parent = Math.floor((at - 1) / CHILDREN);
      const above = this.#heap[parent]!;
      if (!this.#before(pair, above)) break;
      this.#heap[at] = above;
      at = parent;
    }
    this.#heap[at] = pair;
  }

  /** Takes out the pair that is most frequent now; undefined if none is left. */
  take(): PairNumber | undefined {
    for (;;) {
      const pair = this.#pop();
      if (pair === undefined || this.#counts[pair] === this.#table.counts[pair]) return pair;
      // Its occurrences have become fewer since it was added: others may come before it.
      if (this.#table.counts[pair]! > 0) this.add(pair);
    }
  }

  #pop(): PairNumber | undefined {
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

  #before(a: PairNumber, b: PairNumber): boolean {
    if (this.#counts[a] !== this.#counts[b]) return this.#counts[a]! > this.#counts[b]!;
    const { left, right } = this.#table;
    return left[a] === left[b] ? right[a]! < right[b]! : left[a]! < left[b]!;
  }
}
