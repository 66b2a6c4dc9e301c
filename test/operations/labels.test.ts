import { describe, expect, it } from "@jest/globals";
import { native } from "../../lib/native.js";
import { backends, open } from "../support/backends.js";
import { expectClose, expectSameBits } from "../support/closeness.js";
import { Memory, values } from "../support/memory.js";
import { integers, normals } from "../support/numbers.js";
import { IGNORED } from "../support/reference.js";
import { labelCoefficients, patchLabels } from "../support/reference_training.js";

describe.each(backends)("patchLabels on %s", (backend) => {
  it.each([
    [1, 1, 1],
    [1, 3, 4],
    [3, 31, 1],
    [2, 123, 3],
    [5, 1, 8],
  ])("%i sequences of %i patches of %i tokens", async (batch, positions, k) => {
    const n = batch * positions;
    const tokens = integers(n * k, 997, 1);
    const memory = new Memory(open(backend), { guard: 61 });
    const labels = memory.output("i32", [n, k]);
    native.patchLabels(labels, memory.input("i32", [n * k], tokens), positions);
    expect(await values(labels)).toEqual(patchLabels(tokens, n, positions));
    await memory.verify();
  });
});

describe.each(backends)("labelCoefficients on %s", (backend) => {
  it.each([
    [1, 1],
    [3, 4],
    [31, 3],
    [123, 8],
    [7, 40],
  ])("%i rows of %i labels, some ignored", async (n, k) => {
    const ids = integers(n * k, 12, 2);
    const labels = Int32Array.from(ids, (id) => (id < 4 ? IGNORED : id));
    const weights = normals(k, 3);
    const memory = new Memory(open(backend), { guard: 61 });
    const coefficients = memory.output("f32", [k]);
    native.labelCoefficients(coefficients, memory.input("i32", [n, k], labels), memory.input("f32", [k], weights));
    expectClose(await values(coefficients), labelCoefficients(labels, weights));
    await memory.verify();
  });

  it("gives 0 at an offset without labels", async () => {
    const memory = new Memory(open(backend));
    const coefficients = memory.output("f32", [3]);
    const labels = memory.input("i32", [2, 3], [IGNORED, 1, IGNORED, IGNORED, 2, 0]);
    native.labelCoefficients(coefficients, labels, memory.input("f32", [3], [1, 1, 0.5]));
    expect([...(await values(coefficients))]).toEqual([0, 0.5, 0.5]);
    await memory.verify();
  });

  it("gives the same bits again", () =>
    expectSameBits(backend, (memory) => {
      const coefficients = memory.output("f32", [3]);
      const labels = memory.input("i32", [123, 3], integers(369, 9, 4));
      native.labelCoefficients(coefficients, labels, memory.input("f32", [3], normals(3, 5)));
      return [coefficients];
    }));
});
