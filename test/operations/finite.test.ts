/** What is not finite: the first such element of a tensor, and a norm that a guard makes one. */
import { describe, expect, it } from "@jest/globals";
import { native } from "../../lib/native.js";
import { backends, cases, open } from "../support/backends.js";
import { expectSameBits } from "../support/closeness.js";
import { Memory, values } from "../support/memory.js";
import { normals } from "../support/numbers.js";

const dtypes = ["f32", "bf16"] as const;

describe.each(backends)("the first element that is not finite on %s", (backend) => {
  const sizes = cases(backend, [1, 3, 31, 4097, 270_003], [1, 3, 4097]);
  const all = dtypes.flatMap((dtype) => sizes.flatMap((size) => [64, 61].map((guard) => ({ dtype, size, guard }))));

  it.each(all)("of $size in $dtype, guard $guard", async ({ dtype, size, guard }) => {
    // Each place before all later ones, and none; the largest finite number is one.
    const places = [...new Set([0, 1, size >> 1, size - 1])].filter((at) => at < size);
    const random = normals(size, 1);
    for (const [index, first] of [...places, size].entries()) {
      const data = random.slice();
      if (size > 2) data[2] = dtype === "f32" ? 3.4028234663852886e38 : 3.3895313892515355e38;
      for (const at of places) if (at > first) data[at] = NaN;
      if (first < size) data[first] = [NaN, Infinity, -Infinity][index % 3]!;
      const memory = new Memory(open(backend), { guard });
      const out = memory.output("i32", [1]);
      native.firstNonFinite(out, memory.input(dtype, [size], data));
      expect([...(await values(out))]).toEqual([first]);
      await memory.verify();
    }
  });

  it("takes tensors of any rank", async () => {
    const memory = new Memory(open(backend));
    const out = memory.output("i32", [1]);
    native.firstNonFinite(out, memory.input("f32", [2, 3, 2], [1, 2, 3, 4, 5, 6, 7, NaN, 9, 10, 11, 12]));
    expect([...(await values(out))]).toEqual([7]);
    await memory.verify();
  });

  it("is the same of many", () =>
    expectSameBits(backend, (memory) => {
      const out = memory.output("i32", [1]);
      const data = normals(cases(backend, [300_001], [5001])[0]!, 4).map((x) => (x > 2 ? NaN : x));
      native.firstNonFinite(out, memory.input("bf16", [data.length], data));
      return [out];
    }));
});

describe.each(backends)("a guarded norm on %s", (backend) => {
  it.each([
    { norm: 2, loss: 3, limits: [3, 2], passes: true }, // a limit itself is within it
    { norm: 2, loss: 3.0000002384185791, limits: [3, 2], passes: false },
    { norm: 2.0000002384185791, loss: 3, limits: [3, 2], passes: false },
    { norm: 2e20, loss: 3e20, limits: [Infinity, Infinity], passes: true },
    { norm: Infinity, loss: 3, limits: [3, Infinity], passes: true }, // as it was: not finite
    { norm: NaN, loss: NaN, limits: [3, 2], passes: true },
  ])("$norm at a loss of $loss within $limits: $passes", async ({ norm, loss, limits, passes }) => {
    const memory = new Memory(open(backend));
    const [measured, guarded] = [memory.output("f32", [1]), memory.inout("f32", [1], [norm])];
    native.guardNorm(measured, guarded, memory.input("f32", [1], [loss]), memory.input("f32", [2], limits));
    expect([...(await values(measured))]).toEqual([Math.fround(norm)]);
    expect([...(await values(guarded))]).toEqual([passes ? Math.fround(norm) : NaN]);
    await memory.verify();
  });
});
