/** How often each word occurs: a hash table of byte strings in typed arrays, which threads hand to each other whole. */

/** The words and counts of a `WordCounts`, to send to another thread. */
export interface CountedWords {
  /** The words' bytes, one after the other. */
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** Where each word ends in `bytes`. */
  readonly ends: Uint32Array<ArrayBuffer>;
  readonly counts: Float64Array<ArrayBuffer>;
}

export class WordCounts {
  #bytes = new Uint8Array(1 << 16);
  #ends = new Uint32Array(1 << 12);
  #counts = new Float64Array(1 << 12);
  #hashes = new Int32Array(1 << 12);
  /** For each hash, the number of the word plus 1; 0 is free. A full place moves a word to the next one. */
  #slots = new Int32Array(1 << 13);
  #size = 0;

  /** Counts the word that is the bytes from `from` to before `to`. */
  add(text: Uint8Array, from: number, to: number, count = 1): void {
    let hash = 0x811c9dc5;
    for (let i = from; i < to; i++) hash = Math.imul(hash ^ text[i]!, 0x01000193);
    hash ^= hash >>> 15;
    const mask = this.#slots.length - 1;
    let slot = hash & mask;
    for (let word = this.#slots[slot]!; word !== 0; word = this.#slots[slot]!) {
      if (this.#hashes[word - 1] === hash && this.#is(word - 1, text, from, to)) {
        this.#counts[word - 1]! += count;
        return;
      }
      slot = (slot + 1) & mask;
    }
    this.#append(text, from, to, count, hash);
    this.#slots[slot] = this.#size;
    if (this.#size * 2 > this.#slots.length) this.#rehash();
  }

  /** Adds the counts of another table. */
  addAll({ bytes, ends, counts }: CountedWords): void {
    let from = 0;
    for (let word = 0; word < ends.length; word++) {
      this.add(bytes, from, ends[word]!, counts[word]!);
      from = ends[word]!;
    }
  }

  /** The words and counts, in buffers of their own; the table is empty afterwards. */
  take(): CountedWords {
    const taken = {
      bytes: this.#bytes.slice(0, this.#length),
      ends: this.#ends.slice(0, this.#size),
      counts: this.#counts.slice(0, this.#size),
    };
    this.#size = 0;
    this.#slots.fill(0);
    return taken;
  }

  get #length(): number {
    return this.#size === 0 ? 0 : this.#ends[this.#size - 1]!;
  }

  #is(word: number, text: Uint8Array, from: number, to: number): boolean {
    const start = word === 0 ? 0 : this.#ends[word - 1]!;
    if (this.#ends[word]! - start !== to - from) return false;
    for (let i = from, j = start; i < to; i++, j++) {
      if (text[i] !== this.#bytes[j]) return false;
    }
    return true;
  }

  #append(text: Uint8Array, from: number, to: number, count: number, hash: number): void {
    const start = this.#length;
    const end = start + to - from;
    if (end > this.#bytes.length) this.#bytes = grown(this.#bytes, Math.max(end, 2 * this.#bytes.length));
    if (this.#size === this.#ends.length) {
      this.#ends = grown(this.#ends, 2 * this.#size);
      this.#counts = grown(this.#counts, 2 * this.#size);
      this.#hashes = grown(this.#hashes, 2 * this.#size);
    }
    if (to - from < 32) for (let i = from, j = start; i < to; i++, j++) this.#bytes[j] = text[i]!;
    else this.#bytes.set(text.subarray(from, to), start);
    this.#ends[this.#size] = end;
    this.#counts[this.#size] = count;
    this.#hashes[this.#size] = hash;
    this.#size++;
  }

  #rehash(): void {
    const slots = new Int32Array(2 * this.#slots.length);
    const mask = slots.length - 1;
    for (let word = 0; word < this.#size; word++) {
      let slot = this.#hashes[word]! & mask;
      while (slots[slot] !== 0) slot = (slot + 1) & mask;
      slots[slot] = word + 1;
    }
    this.#slots = slots;
  }
}

/** A longer copy of a typed array. */
export function grown<T extends Uint8Array | Uint32Array | Int32Array | Float64Array>(array: T, length: number): T {
  const longer = new (array.constructor as new (length: number) => T)(length);
  longer.set(array);
  return longer;
}
