/** Intervals of paired differences, against published tables and a worked example. */
import { describe, expect, it } from "@jest/globals";
import { pairedDifferences, showsNone } from "../../lib/compare/paired.js";
import { studentT } from "../../lib/compare/student_t.js";

describe("studentT", () => {
  // NIST/SEMATECH e-Handbook of Statistical Methods, 1.3.6.7.2: upper critical values, one-sided 0.95, 0.975 and 0.995.
  it.each([
    [1, 6.314, 12.706, 63.657],
    [2, 2.92, 4.303, 9.925],
    [3, 2.353, 3.182, 5.841],
    [4, 2.132, 2.776, 4.604],
    [5, 2.015, 2.571, 4.032],
    [6, 1.943, 2.447, 3.707],
    [7, 1.895, 2.365, 3.499],
    [9, 1.833, 2.262, 3.25],
    [10, 1.812, 2.228, 3.169],
    [19, 1.729, 2.093, 2.861],
    [30, 1.697, 2.042, 2.75],
    [100, 1.66, 1.984, 2.626],
  ])("has the published values at %i degrees of freedom", (degrees, ...published) => {
    const found = [0.9, 0.95, 0.99].map((probability) => Number(studentT(probability, degrees).toFixed(3)));
    expect(found).toEqual(published);
  });

  it("is exact where it has a closed form", () => {
    expect(studentT(0.95, 1)).toBeCloseTo(Math.tan((0.95 * Math.PI) / 2), 9);
    expect(studentT(0.95, 2)).toBeCloseTo(0.95 * Math.sqrt(2 / (1 - 0.95 ** 2)), 12);
  });
});

describe("pairedDifferences", () => {
  it("gives mean, standard error and interval", () => {
    // Losses of five seeds, token by token and with patches of two tokens.
    const baseline = [1.894, 1.925, 1.906, 1.938, 1.877];
    const patch = [1.891, 1.889, 1.893, 1.885, 1.898];
    const found = pairedDifferences(patch.map((loss, index) => loss - baseline[index]!))!;
    expect(found.n).toBe(5);
    expect(found.mean).toBeCloseTo(-0.0168, 9);
    expect(found.se).toBeCloseTo(0.0128701, 6);
    expect(found.low).toBeCloseTo(-0.0168 - 2.776445 * 0.0128701, 6);
    expect(found.high).toBeCloseTo(-0.0168 + 2.776445 * 0.0128701, 6);
    expect(showsNone(found)).toBe(true);
  });

  it("sees a difference on either side of 0 only where 0 is outside of the interval", () => {
    expect(showsNone(pairedDifferences([0.1, 0.11, 0.12])!)).toBe(false);
    expect(showsNone(pairedDifferences([-0.1, -0.11, -0.12])!)).toBe(false);
    expect(showsNone(pairedDifferences([0.1, -0.11, 0.12])!)).toBe(true);
    expect(pairedDifferences([0, 0])).toEqual({ n: 2, mean: 0, se: 0, low: 0, high: 0 });
    expect(showsNone(pairedDifferences([0, 0])!)).toBe(true);
  });

  it("has none of one pair, and no number where a run diverged", () => {
    expect(pairedDifferences([0.1])).toBeNull();
    const diverged = pairedDifferences([0.1, Number.NaN])!;
    expect(diverged).toEqual({ n: 2, mean: Number.NaN, se: Number.NaN, low: Number.NaN, high: Number.NaN });
    expect(showsNone(diverged)).toBe(true);
  });
});
