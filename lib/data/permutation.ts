/**
 * A pseudo-random permutation of 0..size-1 in constant memory, so that the blocks of billions of tokens can be
 * shuffled without a table: a balanced Feistel network over the smallest even number of bits that covers `size`,
 * and cycle walking (an output outside the range is fed in again until it falls inside), which keeps the map a
 * bijection. The domain is less than four times `size`, so under four steps are expected.
 * Source: Black and Rogaway, "Ciphers with Arbitrary Finite Domains" (CT-RSA 2002).
 */
import { Arguments } from "../arguments.js";

/** The shuffle need not resist an adversary; six rounds leave no visible structure even in small domains. */
const ROUNDS = 6;

export class Permutation {
  readonly size: number;
  /** 2 to the number of bits in each half of the Feistel network. */
  readonly #half: number;
  readonly #keys: readonly number[];

  /**
   * @param size number of elements, 1 to 2^52
   * @param keys integers that choose the permutation, such as a seed and an epoch
   */
  constructor(size: number, ...keys: readonly number[]) {
    new Arguments("Permutation").wholeNumber("size", size, 1, 2 ** 52);
    this.size = size;
    let half = 1;
    while (half * half < size) half *= 2;
    this.#half = half;
    let state = 0;
    for (const key of keys) state = mix(mix(state ^ (key >>> 0)) + Math.floor(key / 2 ** 32));
    this.#keys = Array.from({ length: ROUNDS }, () => (state = mix(state + 0x9e3779b9)));
  }

  /** The element at position `index`. */
  at(index: number): number {
    new Arguments("Permutation.at").wholeNumber("index", index, 0, this.size - 1);
    let value = index;
    do value = this.#encrypt(value);
    while (value >= this.size);
    return value;
  }

  #encrypt(value: number): number {
    // Halves hold at most 26 bits; the whole may not fit 32, so it is split and joined by arithmetic.
    let left = Math.floor(value / this.#half);
    let right = value % this.#half;
    for (const key of this.#keys) {
      const round = mix(right ^ key) % this.#half;
      [left, right] = [right, left ^ round];
    }
    return left * this.#half + right;
  }
}

/** MurmurHash3's 32-bit finalizer: every input bit changes every output bit with probability near a half. */
function mix(value: number): number {
  let h = value | 0;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}
