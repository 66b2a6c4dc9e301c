/** The strings of a Parquet page, as places in its bytes: a page may have millions, most of them empty. */
import { readLengths } from "./delta.js";

export class ByteStrings {
  readonly #bytes: Uint8Array;
  readonly #starts: Uint32Array;
  readonly #lengths: ArrayLike<number>;

  /** @throws Error if one ends beyond the bytes */
  private constructor(bytes: Uint8Array, starts: Uint32Array, lengths: ArrayLike<number>) {
    this.#bytes = bytes;
    this.#starts = starts;
    this.#lengths = lengths;
  }

  get count(): number {
    return this.#starts.length;
  }

  at(index: number): Uint8Array {
    const start = this.#starts[index]!;
    return this.#bytes.subarray(start, start + this.#lengths[index]!);
  }

  /** PLAIN: each has its length before it. */
  static plain(bytes: Uint8Array, count: number): ByteStrings {
    if (count * 4 > bytes.length) throw new Error(`${count} values in ${bytes.length} bytes`);
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const [starts, lengths] = [new Uint32Array(count), new Uint32Array(count)];
    let at = 0;
    for (let i = 0; i < count; i++) {
      const length = at + 4 <= bytes.length ? view.getUint32(at, true) : Number.POSITIVE_INFINITY;
      if (at + 4 + length > bytes.length) throw new Error("a value that is cut short");
      starts[i] = at + 4;
      lengths[i] = length;
      at += 4 + length;
    }
    return new ByteStrings(bytes, starts, lengths);
  }

  /** DELTA_LENGTH_BYTE_ARRAY: all lengths, then the strings. */
  static lengthsFirst(bytes: Uint8Array, count: number): ByteStrings {
    const { lengths, end } = readLengths(bytes, 0, count);
    return new ByteStrings(bytes, startsOf(lengths, end, bytes.length), lengths);
  }

  /**
   * DELTA_BYTE_ARRAY: each begins like the one before it, so that few bytes may stand for many.
   * @param mayCome whether the strings may come to so many bytes
   */
  static prefixed(bytes: Uint8Array, count: number, mayCome: (bytes: number) => boolean): ByteStrings {
    const prefixes = readLengths(bytes, 0, count);
    const suffixes = ByteStrings.lengthsFirst(bytes.subarray(prefixes.end), count);
    const lengths = new Float64Array(count);
    let sum = 0;
    for (let i = 0; i < count; i++) {
      const prefix = prefixes.lengths[i]!;
      if (prefix > (i === 0 ? 0 : lengths[i - 1]!)) throw new Error("a value that begins like nothing before it");
      lengths[i] = prefix + suffixes.#lengths[i]!;
      sum += lengths[i]!;
      if (!mayCome(sum)) throw new Error("a page that comes to more than its bytes can");
    }
    const starts = startsOf(lengths, 0, sum);
    const all = new Uint8Array(sum);
    for (let i = 0; i < count; i++) {
      const [start, prefix] = [starts[i]!, prefixes.lengths[i]!];
      if (prefix > 0) all.copyWithin(start, starts[i - 1]!, starts[i - 1]! + prefix);
      all.set(suffixes.at(i), start + prefix);
    }
    return new ByteStrings(all, starts, lengths);
  }
}

/** Where strings begin that lie one behind the other. */
function startsOf(lengths: ArrayLike<number>, begin: number, end: number): Uint32Array {
  const starts = new Uint32Array(lengths.length);
  let at = begin;
  for (let i = 0; i < starts.length; i++) {
    starts[i] = at;
    at += lengths[i]!;
    if (at > end) throw new Error("a value that is cut short");
  }
  return starts;
}
