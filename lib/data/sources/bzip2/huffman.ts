import type { Bits } from "./bits.js";

/** The longest code. */
const MAX_LENGTH = 20;

/** A prefix code: of each length, its last code and how many there are before. */
export class PrefixCode {
  readonly #limit = new Int32Array(MAX_LENGTH + 2);
  readonly #base = new Int32Array(MAX_LENGTH + 2);
  readonly #symbols: Uint16Array;

  constructor(lengths: Uint8Array) {
    this.#symbols = new Uint16Array(lengths.length);
    let code = 0;
    let count = 0;
    for (let length = 1; length <= MAX_LENGTH; length++) {
      this.#base[length] = count - code;
      for (let symbol = 0; symbol < lengths.length; symbol++) {
        if (lengths[symbol] !== length) continue;
        this.#symbols[count++] = symbol;
        code++;
      }
      // One more than the last code of this length, among codes of the longest.
      this.#limit[length] = code << (MAX_LENGTH - length);
      code <<= 1;
    }
    this.#limit[MAX_LENGTH + 1] = 1 << MAX_LENGTH;
  }

  /** Reads one symbol. */
  read(bits: Bits): number {
    const window = bits.peek(MAX_LENGTH);
    let length = 1;
    while (window >= this.#limit[length]!) length++;
    const at = this.#base[length]! + (window >>> (MAX_LENGTH - length));
    if (length > MAX_LENGTH || at >= this.#symbols.length) throw new Error("a code that does not exist");
    bits.read(length);
    return this.#symbols[at]!;
  }
}

/** Reads a code's description. */
export function readCode(bits: Bits, symbols: number): PrefixCode {
  const lengths = new Uint8Array(symbols);
  let length = bits.read(5);
  for (let i = 0; i < symbols; i++) {
    for (;;) {
      if (length < 1 || length > MAX_LENGTH) throw new Error("a damaged code");
      if (bits.read(1) === 0) break;
      length += bits.read(1) === 0 ? 1 : -1;
    }
    lengths[i] = length;
  }
  return new PrefixCode(lengths);
}
