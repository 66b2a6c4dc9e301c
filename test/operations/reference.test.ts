/** Tests of the references: gradients against central differences, the generator against its published answers. */
import { describe, expect, it } from "@jest/globals";
import { relativeError } from "../support/closeness.js";
import { bf16Bits, fromBf16Bits, integers, normals } from "../support/numbers.js";
import * as reference from "../support/reference.js";
import { attention, attentionBackward } from "../support/reference_attention.js";
import { crossEntropy, normal, philox } from "../support/reference_training.js";

/** The gradient of sum(cotangent * f(x)) by central differences. */
function numericalGradient(
  f: (x: Float64Array) => Float64Array,
  x: Float64Array,
  cotangent: Float64Array,
): Float64Array {
  const h = 1e-5;
  const value = (point: Float64Array): number => f(point).reduce((total, y, i) => total + y * cotangent[i]!, 0);
  return x.map((_, i) => {
    const up = x.slice();
    const down = x.slice();
    up[i]! += h;
    down[i]! -= h;
    return (value(up) - value(down)) / (2 * h);
  });
}

function expectGradient(analytic: Float64Array, numerical: Float64Array): void {
  expect(relativeError(analytic, numerical)).toBeLessThan(1e-7);
}

describe("the float64 backward equals central differences of the forward:", () => {
  it("patch embedding", () => {
    const tokens = Int32Array.of(4, 4, 0, 2, 7, 4);
    const table = normals(5 * 3, 1);
    const dout = normals(2 * 3, 2);
    const forward = (t: Float64Array): Float64Array => reference.patchEmbedding(tokens, t, 2, 3);
    expectGradient(
      reference.patchEmbeddingBackward(new Float64Array(15), dout, tokens, 2),
      numericalGradient(forward, table, dout),
    );
  });

  it("RMSNorm", () => {
    const [x, weight, dout] = [normals(3 * 7, 3), normals(7, 4), normals(3 * 7, 5)];
    const { rstd } = reference.rmsNorm(x, null, weight, 1e-2);
    const { dx, dweight } = reference.rmsNormBackward(dout, x, rstd, weight, null, new Float64Array(7));
    expectGradient(
      dx,
      numericalGradient((p) => reference.rmsNorm(p, null, weight, 1e-2).out, x, dout),
    );
    expectGradient(
      dweight,
      numericalGradient((p) => reference.rmsNorm(x, null, p, 1e-2).out, weight, dout),
    );
  });

  it("rotary embedding", () => {
    const table = reference.rotaryTable([1, 0.3], 5);
    const shape = [2, 3, 2, 4] as const;
    const [x, dout] = [normals(48, 6), normals(48, 7)];
    expectGradient(
      reference.rotary(dout, shape, table, 2, true),
      numericalGradient((p) => reference.rotary(p, shape, table, 2, false), x, dout),
    );
  });

  it.each([
    [3, 5],
    [5, 3],
    [4, 4],
  ])("attention, %i queries and %i keys", (queries, keys) => {
    const s = { batch: 2, queries, keys, heads: 4, kvHeads: 2, headDim: 3 };
    const q = normals(2 * queries * 4 * 3, 8);
    const [k, v] = [normals(2 * keys * 2 * 3, 9), normals(2 * keys * 2 * 3, 10)];
    const dout = normals(q.length, 11);
    const { out, lse } = attention(q, k, v, s, 0.7);
    const { dq, dk, dv } = attentionBackward(dout, q, k, v, out, lse, s, 0.7);
    expectGradient(
      dq,
      numericalGradient((p) => attention(p, k, v, s, 0.7).out, q, dout),
    );
    expectGradient(
      dk,
      numericalGradient((p) => attention(q, p, v, s, 0.7).out, k, dout),
    );
    expectGradient(
      dv,
      numericalGradient((p) => attention(q, k, p, s, 0.7).out, v, dout),
    );
  });

  it.each(["SwiGLU", "GeGLU"] as const)("%s", (unit) => {
    const [gateUp, dout] = [normals(3 * 10, 12), normals(3 * 5, 13)];
    const forward = (p: Float64Array): Float64Array => reference.glu(unit, p, 3);
    expectGradient(reference.gluBackward(unit, dout, gateUp, 3), numericalGradient(forward, gateUp, dout));
  });

  it("cross-entropy with repeated, ignored and missing labels", () => {
    const logits = normals(3 * 6, 14);
    const labels = Int32Array.of(1, 1, 5, -100, 0, 2, -100, -100, 9);
    const coefficients = Float64Array.of(0.5, 0.3, 0.2);
    const forward = (p: Float64Array): Float64Array => crossEntropy(p, labels, coefficients, 3).losses;
    const ones = new Float64Array(3).fill(1);
    expectGradient(crossEntropy(logits, labels, coefficients, 3).gradient, numericalGradient(forward, logits, ones));
  });
});

describe("random numbers", () => {
  it("Philox gives the known answers of Random123", () => {
    const hex = (seed: bigint, counter: bigint): string[] => philox(seed, counter).map((word) => word.toString(16));
    expect(hex(0n, 0n)).toEqual(["6627e8d5", "e169c58d", "bc57ac4c", "9b00dbd8"]);
  });

  it("are normal", () => {
    const draws = Float64Array.from({ length: 20000 }, (_, i) => normal(5n, BigInt(i)));
    const mean = draws.reduce((a, b) => a + b, 0) / draws.length;
    const variance = draws.reduce((a, b) => a + (b - mean) ** 2, 0) / draws.length;
    expect(Math.abs(mean)).toBeLessThan(0.03);
    expect(Math.abs(variance - 1)).toBeLessThan(0.05);
  });

  it("whole numbers stay in their range", () => {
    expect(integers(1000, 7, 1).every((id) => id >= 0 && id < 7)).toBe(true);
  });
});

describe("bf16", () => {
  it.each([
    [1, 0x3f80],
    [-2, 0xc000],
    [1 + 2 ** -8, 0x3f80],
    [1 + 3 * 2 ** -8, 0x3f82],
    [1 + 2 ** -8 + 2 ** -20, 0x3f81],
    [Infinity, 0x7f80],
    [3.4e38, 0x7f80],
    [0, 0],
    [-0, 0x8000],
    [NaN, 0x7fc0],
    [2 ** -133, 0x0001],
  ])("rounds %d to nearest, ties to even", (x, bits) => {
    expect(bf16Bits(x)).toBe(bits);
  });

  it("widens exactly", () => {
    expect(fromBf16Bits(0x3f82)).toBe(1.015625);
  });
});
