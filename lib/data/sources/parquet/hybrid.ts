/** Parquet's levels and indices: numbers of a few bits, in runs of one value or packed eight at a time. */
import { readVarint } from "./varint.js";

/**
 * The first `count` numbers.
 * @param width bits of a number, from 0 to 32
 * @throws Error if the bytes end too early, or a run is longer than what it is a part of
 */
export function readHybrid(bytes: Uint8Array, width: number, count: number): Uint32Array {
  const values = new Uint32Array(count);
  if (width > 32) throw new Error(`numbers of ${width} bits`);
  if (width === 0) return values;
  for (let at = 0, seen = 0; seen < count; ) {
    const header = readVarint(bytes, at);
    at = header.end;
    const many = Math.floor(header.value / 2);
    if (header.value % 2 === 1) {
      const packed = Math.min(count - seen, many * 8);
      unpack(bytes.subarray(at), width, values.subarray(seen, seen + packed));
      seen += packed;
      at += many * width;
    } else {
      // The value is known once, so that a few bytes could stand for billions.
      if (many > count - seen) throw new Error(`a run of ${many} values where ${count - seen} are left`);
      values.fill(littleEndian(bytes, at, (width + 7) >> 3), seen, seen + many);
      seen += many;
      at += (width + 7) >> 3;
    }
  }
  return values;
}

function littleEndian(bytes: Uint8Array, at: number, length: number): number {
  if (at + length > bytes.length) throw new Error("a run that is cut short");
  let value = 0;
  for (let i = length - 1; i >= 0; i--) value = value * 256 + bytes[at + i]!;
  return value;
}

/** Fills `values` with numbers of `width` bits, the lowest bits first. */
export function unpack(bytes: Uint8Array, width: number, values: Uint32Array): void {
  if (values.length * width > bytes.length * 8) throw new Error("a run that is cut short");
  for (let i = 0, bit = 0; i < values.length; i++) {
    let value = 0;
    for (let read = 0; read < width; ) {
      const within = bit & 7;
      const some = Math.min(8 - within, width - read);
      value += ((bytes[bit >> 3]! >> within) & ((1 << some) - 1)) * 2 ** read;
      read += some;
      bit += some;
    }
    values[i] = value;
  }
}
