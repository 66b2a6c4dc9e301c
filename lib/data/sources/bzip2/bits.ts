import { CUT_SHORT } from "../byte_reader.js";

/** Bits of bytes that are in memory, the highest of each byte first. */
export class Bits {
  #window = 0;
  #have = 0;
  #at = 0;

  constructor(private readonly bytes: Uint8Array) {}

  /** Bytes that were taken whole. */
  get wholeBytes(): number {
    return this.#at - Math.ceil(this.#have / 8);
  }

  /** Bits that were taken of the byte after them. */
  get offset(): number {
    return -this.#have & 7;
  }

  /** The next `count` bits, at most 24. Throws an Error if there are fewer. */
  read(count: number): number {
    this.#fill(count);
    if (this.#have < count) throw new Error(CUT_SHORT);
    this.#have -= count;
    return (this.#window >>> this.#have) & ((1 << count) - 1);
  }

  /** The next `count` bits, at most 24, without taking them; zeros beyond the end. */
  peek(count: number): number {
    this.#fill(count);
    const shift = this.#have - count;
    return (shift >= 0 ? this.#window >>> shift : this.#window << -shift) & ((1 << count) - 1);
  }

  /** Leaves out what is left of a byte. */
  align(): void {
    this.#have -= this.#have & 7;
  }

  #fill(count: number): void {
    while (this.#have < count && this.#at < this.bytes.length) {
      this.#window = (this.#window << 8) | this.bytes[this.#at++]!;
      this.#have += 8;
    }
  }
}
