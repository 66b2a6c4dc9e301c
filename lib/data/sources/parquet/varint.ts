/** Numbers of Parquet in groups of seven bits. */

/** A number, and where it ends. */
export interface Varint {
  readonly value: number;
  readonly end: number;
}

/** An unsigned number below 2^35. @throws Error if it is longer, or cut short */
export function readVarint(bytes: Uint8Array, at: number): Varint {
  let value = 0;
  for (let i = 0; i < 5 && at + i < bytes.length; i++) {
    const byte = bytes[at + i]!;
    value += (byte & 127) * 2 ** (7 * i);
    if (byte < 128) return { value, end: at + i + 1 };
  }
  throw new Error("a number that does not end");
}

/** A signed number, whose lowest bit is its sign. */
export function readZigzag(bytes: Uint8Array, at: number): Varint {
  const { value, end } = readVarint(bytes, at);
  return { value: value % 2 === 0 ? value / 2 : -(value + 1) / 2, end };
}
