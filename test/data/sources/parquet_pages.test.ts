/** What a Parquet page says of itself is not trusted: counts, lengths and runs that its bytes do not hold. */
import { describe, expect, it } from "@jest/globals";
import { ByteStrings } from "../../../lib/data/sources/parquet/byte_strings.js";
import { readLengths } from "../../../lib/data/sources/parquet/delta.js";
import { readHybrid } from "../../../lib/data/sources/parquet/hybrid.js";

/** A number in groups of seven bits. */
function varint(value: number): number[] {
  return value < 128 ? [value] : [(value % 128) + 128, ...varint(Math.floor(value / 128))];
}

const zigzag = (value: number): number[] => varint(value < 0 ? -2 * value - 1 : 2 * value);

/** Numbers of `width` bits, packed. */
function packed(values: readonly number[], width: number): number[] {
  const bits = values.flatMap((value) => Array.from({ length: width }, (_, bit) => Math.floor(value / 2 ** bit) % 2));
  const bytes = new Array<number>(Math.ceil(bits.length / 8)).fill(0);
  for (const [i, bit] of bits.entries()) bytes[i >> 3]! |= bit << (i & 7);
  return bytes;
}

/** DELTA_BINARY_PACKED in blocks of 128 in four parts, each of the width that it needs. */
function delta(values: readonly number[]): number[] {
  const bytes = [...varint(128), ...varint(4), ...varint(values.length), ...zigzag(values[0] ?? 0)];
  const differences = values.slice(1).map((value, i) => value - values[i]!);
  for (let begin = 0; begin < differences.length; begin += 128) {
    const block = differences.slice(begin, begin + 128);
    const least = Math.min(...block);
    const parts = [0, 32, 64, 96].map((at) => block.slice(at, at + 32).map((difference) => difference - least));
    const widths = parts.map((part) => (part.length === 0 ? 0 : 32 - Math.clz32(Math.max(...part))));
    bytes.push(...zigzag(least), ...widths);
    for (const [i, part] of parts.entries()) {
      if (part.length > 0) bytes.push(...packed([...part, ...new Array(32 - part.length).fill(0)], widths[i]!));
    }
  }
  return bytes;
}

const text = (value: Uint8Array) => Buffer.from(value).toString();

describe("levels and indices", () => {
  it("in runs, and packed", () => {
    const bytes = [...varint(2 * 5), 3, ...varint(2 * 1 + 1), ...packed([0, 1, 2, 3, 4, 5, 6, 7], 3)];
    expect([...readHybrid(Uint8Array.from(bytes), 3, 11)]).toEqual([3, 3, 3, 3, 3, 0, 1, 2, 3, 4, 5]);
  });

  it("of any width", () => {
    for (const width of [1, 7, 8, 13, 31, 32]) {
      const values = Array.from({ length: 8 }, (_, i) => (2 ** width - 1 - i * 7919) % 2 ** width).map(Math.abs);
      expect([...readHybrid(Uint8Array.from([3, ...packed(values, width)]), width, 8)]).toEqual(values);
    }
    expect([...readHybrid(new Uint8Array(0), 0, 3)]).toEqual([0, 0, 0]);
  });

  it.each([
    ["a run of a billion", [...varint(2 * 2 ** 30), 1], "a run of 1073741824 values where 10 are left"],
    ["a run without its value", varint(2 * 10), "a run that is cut short"],
    ["numbers that are not there", [...varint(2 * 2 + 1), 0], "a run that is cut short"],
    ["nothing", [], "a number that does not end"],
    ["a number without an end", [255, 255, 255, 255, 255, 255], "a number that does not end"],
  ])("%s", (_, bytes, message) => {
    expect(() => readHybrid(Uint8Array.from(bytes), 3, 10)).toThrow(message);
  });

  it("in empty runs come to an end", () => {
    expect(() => readHybrid(new Uint8Array(1000), 1, 10)).toThrow("a number that does not end");
    expect(() => readHybrid(new Uint8Array(0), 33, 10)).toThrow("numbers of 33 bits");
  });
});

describe("lengths", () => {
  it("less the one before", () => {
    const values = Array.from({ length: 300 }, (_, i) => (i * 7919) % 1009);
    expect([...readLengths(Uint8Array.from([9, ...delta(values), 9]), 1, 300).lengths]).toEqual(values);
    expect(readLengths(Uint8Array.from(delta(values)), 0, 300).end).toBe(delta(values).length);
    expect([...readLengths(Uint8Array.from(delta([])), 0, 0).lengths]).toEqual([]);
  });

  it.each([
    ["of another count", delta([1, 2]), "2 lengths for 3 values"],
    ["below 0", delta([1, -1, 2]), "a length below 0"],
    ["in no block", [0, 1, 3, 0], "blocks of 0 lengths in 1 parts"],
    ["in blocks without parts", [...varint(128), 0, 3, 0], "blocks of 128 lengths in 0 parts"],
    ["in a block of millions", [...varint(2 ** 31), 1, 3, 0], "blocks of 2147483648 lengths in 1 parts"],
    ["of too many bits", [...varint(128), 4, 3, 0, 0, 33, 0, 0, 0], "lengths of 33 bits"],
    ["that end too early", delta([1, 200, 3]).slice(0, 12), "a run that is cut short"],
  ])("%s", (_, bytes, message) => {
    expect(() => readLengths(Uint8Array.from(bytes), 0, 3)).toThrow(message);
  });
});

describe("values", () => {
  it("that begin like the one before", () => {
    const bytes = Uint8Array.from([...delta([0, 2, 3]), ...delta([3, 1, 0]), ...Buffer.from("abcd")]);
    const strings = ByteStrings.prefixed(bytes, 3, () => true);
    expect([0, 1, 2].map((i) => text(strings.at(i)))).toEqual(["abc", "abd", "abd"]);
  });

  it("that come to more than their bytes can", () => {
    const count = 10_000;
    const bytes = Uint8Array.from([
      ...delta([0, ...new Array<number>(count - 1).fill(50_000)]),
      ...delta([50_000, ...new Array<number>(count - 1).fill(0)]),
      ...new Array<number>(50_000).fill(97),
    ]);
    expect(() => ByteStrings.prefixed(bytes, count, (given) => given <= 2 ** 20)).toThrow("more than its bytes can");
  });

  it.each([
    ["as many as there are bytes", [1, 0, 0, 0, 97], 5, "5 values in 5 bytes"],
    ["beyond the page", [2, 0, 0, 0, 97], 1, "a value that is cut short"],
    ["of four gigabytes", [255, 255, 255, 255, 97], 1, "a value that is cut short"],
  ])("%s", (_, bytes, count, message) => {
    // In a larger buffer, so that what lies behind the page could be read.
    const buffer = Uint8Array.from([...bytes, ...new Array<number>(100).fill(98)]);
    expect(() => ByteStrings.plain(buffer.subarray(0, bytes.length), count)).toThrow(message);
  });

  it("with lengths before them all, beyond the page", () => {
    const bytes = Uint8Array.from([...delta([1, 5]), ...Buffer.from("abc")]);
    expect(() => ByteStrings.lengthsFirst(bytes, 2)).toThrow("a value that is cut short");
    const own = Uint8Array.from([...delta([0, 3]), ...delta([1, 1]), ...Buffer.from("ab")]);
    expect(() => ByteStrings.prefixed(own, 2, () => true)).toThrow("a value that begins like nothing before it");
  });
});
