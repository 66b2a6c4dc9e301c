/** Numbers the pairs of tokens in the order that they are first seen. */
import { grown } from "./word_counts.js";

/** Positions in the arrays of a `PairTable` that belong to a pair. */
export type PairNumber = number;

export class PairTable {
  left = new Int32Array(1 << 12);
  right = new Int32Array(1 << 12);
  /** How often each pair occurs, as the merges have it. */
  counts = new Float64Array(1 << 12);
  #size = 0;
  /** The number of a pair plus 1, by hash; 0 is free. */
  #slots = new Int32Array(1 << 13);

  /** The number of a pair, which it gets now if it is new. */
  numberOf(left: number, right: number): PairNumber {
    const mask = this.#slots.length - 1;
    let slot = hashOf(left, right) & mask;
    for (let pair = this.#slots[slot]!; pair !== 0; pair = this.#slots[slot]!) {
      if (this.left[pair - 1] === left && this.right[pair - 1] === right) return pair - 1;
      slot = (slot + 1) & mask;
    }
    if (this.#size === this.left.length) {
      this.left = grown(this.left, 2 * this.#size);
      this.right = grown(this.right, 2 * this.#size);
      this.counts = grown(this.counts, 2 * this.#size);
    }
    this.left[this.#size] = left;
    this.right[this.#size] = right;
    this.#slots[slot] = ++this.#size;
    if (this.#size * 2 > this.#slots.length) this.#rehash();
    return this.#size - 1;
  }

  #rehash(): void {
    this.#slots = new Int32Array(2 * this.#slots.length);
    const mask = this.#slots.length - 1;
    for (let pair = 0; pair < this.#size; pair++) {
      let slot = hashOf(this.left[pair]!, this.right[pair]!) & mask;
      while (this.#slots[slot] !== 0) slot = (slot + 1) & mask;
      this.#slots[slot] = pair + 1;
    }
  }
}

function hashOf(left: number, right: number): number {
  const hash = Math.imul(left, 0x9e3779b1) ^ Math.imul(right, 0x85ebca6b);
  return hash ^ (hash >>> 15);
}
