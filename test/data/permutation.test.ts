import { describe, expect, it } from "@jest/globals";
import { Permutation } from "../../lib/data/permutation.js";

const list = (permutation: Permutation): number[] =>
  Array.from({ length: permutation.size }, (_, i) => permutation.at(i));

describe("Permutation", () => {
  it("is a bijection for every size", () => {
    const sizes = [...Array.from({ length: 300 }, (_, i) => i + 1), 1023, 1024, 1025, 4097, 65_537];
    for (const size of sizes) {
      const seen = new Set(list(new Permutation(size, 3, 1)));
      expect(seen.size).toBe(size);
      expect([...seen].every((value) => value >= 0 && value < size)).toBe(true);
    }
  });

  it("is the same for the same keys and another for each seed and epoch", () => {
    const orders = [
      [1, 0],
      [1, 1],
      [2, 0],
      [0, 1],
      [-1, 0],
      [1 + 2 ** 32, 0],
    ].map((keys) => list(new Permutation(100, ...keys)).join());
    expect(new Set(orders).size).toBe(orders.length);
    expect(list(new Permutation(100, 1, 0)).join()).toBe(orders[0]);
  });

  it("takes both orders of two, and all six of three, over the epochs", () => {
    const orders = (size: number): number =>
      new Set(Array.from({ length: 200 }, (_, epoch) => list(new Permutation(size, 7, epoch)).join())).size;
    expect(orders(2)).toBe(2);
    expect(orders(3)).toBe(6);
  });

  it("leaves no trace of the order it started from", () => {
    const size = 10_000;
    const order = list(new Permutation(size, 5, 0));
    const neighbours = order.filter((value, i) => i > 0 && Math.abs(value - order[i - 1]!) === 1).length;
    expect(neighbours).toBeLessThan(12); // 2 are expected
    const mean = order.reduce((sum, value, i) => sum + i * value, 0) / size;
    const correlation = (mean - ((size - 1) / 2) ** 2) / ((size ** 2 - 1) / 12);
    expect(Math.abs(correlation)).toBeLessThan(0.05); // five standard deviations
  });

  it("holds for sizes beyond 32 bits", () => {
    const size = 10_000_000_019;
    const permutation = new Permutation(size, 1, 0);
    const seen = new Set(Array.from({ length: 2000 }, (_, i) => permutation.at(size - 1 - i)));
    expect(seen.size).toBe(2000);
    expect([...seen].every((value) => value >= 0 && value < size && Number.isInteger(value))).toBe(true);
    expect(Math.max(...seen)).toBeGreaterThan(2 ** 32);
  });

  it("refuses what lies outside", () => {
    expect(() => new Permutation(0)).toThrow(RangeError);
    expect(() => new Permutation(2.5)).toThrow(RangeError);
    expect(() => new Permutation(3).at(3)).toThrow(
      "Permutation.at: index: expected a whole number from 0 to 2 but received 3",
    );
  });
});
