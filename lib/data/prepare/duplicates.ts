/** Exact duplicates among documents, by 128 bits of the SHA-256 of their texts. */
import { createHash, type Hash } from "node:crypto";
import type { TextPiece } from "../sources.js";

/** Words of a hash. */
const WORDS = 4;

/** A set of hashes: a table with open addressing, 32 to 64 bytes for each. */
class HashSet {
  #table = new Uint32Array(WORDS * 1024);
  #count = 0;

  /** Adds a hash that is not all zeros; whether it was new. */
  add(hash: Uint32Array): boolean {
    if (2 * WORDS * (this.#count + 1) > this.#table.length) this.#grow();
    const at = find(this.#table, hash);
    if (this.#table[at] !== 0 || this.#table[at + 1] !== 0 || this.#table[at + 2] !== 0 || this.#table[at + 3] !== 0) {
      return false;
    }
    this.#table.set(hash, at);
    this.#count++;
    return true;
  }

  #grow(): void {
    const larger = new Uint32Array(2 * this.#table.length);
    for (let at = 0; at < this.#table.length; at += WORDS) {
      const hash = this.#table.subarray(at, at + WORDS);
      if (hash.some((word) => word !== 0)) larger.set(hash, find(larger, hash));
    }
    this.#table = larger;
  }
}

/** Where a hash is in a table, or the free place where it would be. */
function find(table: Uint32Array, hash: Uint32Array): number {
  const mask = table.length / WORDS - 1;
  for (let slot = hash[0]! & mask; ; slot = (slot + 1) & mask) {
    const at = slot * WORDS;
    const [a, b, c, d] = [table[at]!, table[at + 1]!, table[at + 2]!, table[at + 3]!];
    if ((a === hash[0] && b === hash[1] && c === hash[2] && d === hash[3]) || (a | b | c | d) === 0) return at;
  }
}

/** The indices of documents whose text an earlier one has. A bit a document. */
export class Duplicates {
  readonly #seen = new HashSet();
  #dropped = new Uint8Array(1024);
  #documents = 0;
  #count = 0;
  #hash: Hash | undefined;

  /** How many there are. */
  get count(): number {
    return this.#count;
  }

  /** Takes the next piece of text; `end` takes the last document. */
  add({ text, first }: TextPiece): void {
    if (first) this.end();
    this.#hash ??= createHash("sha256");
    this.#hash.update(text);
  }

  /** Ends the last document. */
  end(): void {
    if (this.#hash === undefined) return;
    const digest = this.#hash.digest();
    this.#hash = undefined;
    const index = this.#documents++;
    if (this.#seen.add(new Uint32Array(digest.buffer.slice(digest.byteOffset, digest.byteOffset + 4 * WORDS)))) return;
    this.#count++;
    const byte = index >> 3;
    if (byte >= this.#dropped.length) {
      const larger = new Uint8Array(Math.max(2 * this.#dropped.length, byte + 1));
      larger.set(this.#dropped);
      this.#dropped = larger;
    }
    this.#dropped[byte]! |= 1 << (index & 7);
  }

  /** Whether the document with this index, in the order in which they were taken, is one. */
  has(index: number): boolean {
    return ((this.#dropped[index >> 3] ?? 0) & (1 << (index & 7))) !== 0;
  }
}
