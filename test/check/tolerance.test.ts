/** What rounding explains is accepted, and little more. */
import { describe, expect, it } from "@jest/globals";
import { compare, rounded, sumOf, type Tolerance } from "../../lib/check/tolerance.js";
import { bf16Bits, fromBf16Bits, generator, integers, normals } from "../support/numbers.js";
import { matmul } from "../support/reference.js";

// Looking up a global costs a microsecond in a test's context.
const { floor, fround } = Math;

const shape = [20, 50];
const exact = normals(1000, 1);
const bf16 = (values: ArrayLike<number>) => Uint16Array.from(values, bf16Bits);
const f32 = (values: ArrayLike<number>) => Float32Array.from(values);

function shareOf(got: Float32Array | Uint16Array, expected: Float32Array | Uint16Array, tolerance: Tolerance): number {
  if (got instanceof Float32Array) return compare<"f32">(got, expected as Float32Array, "f32", shape, tolerance).share;
  return compare<"bf16">(got, expected as Uint16Array, "bf16", shape, tolerance).share;
}

/** [20, 50]: a product over `k`, of factors that are rounded first, and summed in float64. */
function product(k: number, round: (x: number) => number): Float64Array {
  const [a, b] = [normals(20 * k, 1).map(round), normals(k * 50, 2).map(round)];
  return matmul(a, b, 20, 50, k);
}

describe("accepts", () => {
  it("equal results, infinities and NaN among them", () => {
    const values = f32([...exact.slice(0, 997), Infinity, -Infinity, NaN]);
    expect(shareOf(values, values.slice(), "equal")).toBe(0);
    expect(shareOf(values, values.slice(), rounded)).toBe(0);
  });

  it("two roundings of nearly the same number", () => {
    const near = exact.map((x, i) => x * (1 + (i % 2 === 0 ? 1 : -1) * 2 ** -22));
    expect(shareOf(bf16(near), bf16(exact), rounded)).toBeLessThan(1);
    expect(shareOf(f32(near), f32(exact), rounded)).toBeLessThan(1);
  });

  it("an f32 sum in another order", () => {
    for (const k of [40, 400]) {
      const [a, b] = [normals(20 * k, 1), normals(k * 50, 2)];
      const summed = (backwards: boolean) =>
        Float32Array.from({ length: 1000 }, (_, at) => {
          let total = 0;
          for (let step = 0; step < k; step++) {
            const l = backwards ? k - 1 - step : step;
            total = fround(total + a[floor(at / 50) * k + l]! * b[l * 50 + (at % 50)]!);
          }
          return total;
        });
      expect(shareOf(summed(false), summed(true), sumOf(k))).toBeLessThan(1);
      expect(shareOf(bf16(summed(false)), bf16(summed(true)), sumOf(k))).toBeLessThan(1);
    }
  });

  it("a sum over factors that were rounded to bf16, where a kernel does that", () => {
    const round = (x: number) => fromBf16Bits(bf16Bits(x));
    const [a, b] = [normals(20 * 40, 1), normals(40 * 50, 2, "bf16")];
    const [once, twice] = [matmul(a.map(round), b, 20, 50, 40), matmul(a, b, 20, 50, 40)];
    expect(shareOf(bf16(once), bf16(twice), sumOf(40, { factors: true }))).toBeLessThan(1);
    expect(shareOf(bf16(once), bf16(twice), sumOf(40))).toBeGreaterThan(1);
  });
});

describe("refuses", () => {
  it("one bit, where results must be equal", () => {
    const off = bf16(exact);
    off[500]! ^= 1;
    expect(shareOf(off, bf16(exact), "equal")).toBe(Infinity);
    const ids = integers(1000, 90, 1);
    const { share, text } = compare<"i32">(ids.with(777, 91), ids, "i32", shape, rounded);
    expect(share).toBe(Infinity);
    expect(text).toBe(`[15, 27] is 91, on cpu ${ids[777]}; expected the same`);
  });

  it.each([
    ["a number three units off in bf16", (x: number) => x * (1 + 3 * 2 ** -7)],
    ["zero", () => 0],
    ["NaN", () => NaN],
    ["infinity", () => Infinity],
    ["another sign", (x: number) => -x],
  ])("%s, in one of a thousand", (_, wrong) => {
    const at = exact.findIndex((x) => Math.abs(x) > 1);
    const got = exact.map((x, i) => (i === at ? wrong(x) : x));
    expect(shareOf(bf16(got), bf16(exact), rounded)).toBeGreaterThan(1);
    expect(shareOf(f32(got), f32(exact), rounded)).toBeGreaterThan(1);
  });

  it("bf16 by truncation instead of rounding", () => {
    const truncated = bf16(exact).map((_, i) => new Uint32Array(f32([exact[i]!]).buffer)[0]! >>> 16);
    expect(shareOf(truncated, bf16(exact), rounded)).toBeGreaterThan(1);
    expect(shareOf(truncated, bf16(exact), sumOf(1000))).toBeGreaterThan(1);
  });

  it("a product in TF32 for one in f32", () => {
    const tf32 = (x: number) =>
      new Float32Array(new Uint32Array(f32([x]).buffer).map((bits) => bits & ~0x1fff).buffer)[0]!;
    for (const k of [40, 400]) {
      expect(shareOf(f32(product(k, tf32)), f32(product(k, fround)), sumOf(k))).toBeGreaterThan(1);
    }
  });

  it("a sum kept in bf16", () => {
    const next = generator(1);
    const terms = Array.from({ length: 1000 }, () => Array.from({ length: 40 }, () => next() - 0.5));
    const round = (x: number) => fromBf16Bits(bf16Bits(x));
    const kept = terms.map((row) => row.reduce((sum, x) => round(sum + x), 0));
    const right = terms.map((row) => row.reduce((sum, x) => sum + x, 0));
    expect(shareOf(bf16(kept), bf16(right), sumOf(40, { factors: true }))).toBeGreaterThan(1);
  });

  it("a term left out of the sum of one row", () => {
    const right = product(40, fround);
    const [a, b] = [normals(20 * 40, 1).slice(), normals(40 * 50, 2)];
    a[7 * 40 + 39] = 0;
    const got = matmul(a, b, 20, 50, 40);
    expect(shareOf(bf16(got), bf16(right), sumOf(40, { factors: true }))).toBeGreaterThan(1);
    expect(shareOf(f32(got), f32(right), sumOf(40))).toBeGreaterThan(1);
  });
});
