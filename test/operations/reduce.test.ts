import { describe, expect, it } from "@jest/globals";
import { native, type Tensor } from "../../lib/native.js";
import { backends, cases, open } from "../support/backends.js";
import { expectClose, expectSameBits } from "../support/closeness.js";
import { Memory, values } from "../support/memory.js";
import { normals } from "../support/numbers.js";
import { norm } from "../support/reference_training.js";

function gradNorm(memory: Memory, data: Float64Array): Tensor {
  const out = memory.output("f32", [1]);
  const workspace = memory.workspace("f32", native.gradNormWorkspace(memory.device, data.length));
  native.gradNorm(out, memory.input("f32", [data.length], data), workspace);
  return out;
}

describe.each(backends)("reductions on %s", (backend) => {
  const sizes = cases(backend, [1, 3, 31, 123, 4097, 1_100_003], [1, 3, 123, 4097]).flatMap((size) =>
    [64, 61].map((guard) => ({ size, guard })),
  );

  it.each(sizes)("sum of $size, guard $guard, stored and added", async ({ size, guard }) => {
    const memory = new Memory(open(backend), { guard });
    // Away from zero, so that the sum is as large as its terms.
    const data = normals(size, 1).map((x) => Math.fround(x + 2));
    const total = data.reduce((a, b) => a + b, 0);
    const input = memory.input("f32", [size], data);
    const [stored, added] = [memory.output("f32", [1]), memory.inout("f32", [1], [5])];
    native.sum(stored, input, false);
    native.sum(added, input, true);
    expectClose(await values(stored), [total]);
    expectClose(await values(added), [total + 5]);
    await memory.verify();
  });

  it.each(sizes)("gradient norm of $size, guard $guard", async ({ size, guard }) => {
    const memory = new Memory(open(backend), { guard });
    expectClose(await values(gradNorm(memory, normals(size, 2))), [norm(normals(size, 2))]);
    await memory.verify();
  });

  it("gradient norm of more than the slices of the sum have in one turn", async () => {
    const size = 2 ** 23 + 2 ** 21 + 5;
    const memory = new Memory(open(backend));
    const [out, grad] = [memory.output("f32", [1]), memory.output("f32", [size])];
    native.fill(grad, 1); // whatever the order, no sum is rounded
    native.gradNorm(out, grad, memory.workspace("f32", native.gradNormWorkspace(memory.device, size)));
    expect([...(await values(out))]).toEqual([Math.fround(Math.sqrt(size))]);
    await memory.verify();
  });

  it("takes tensors of any rank", async () => {
    const memory = new Memory(open(backend));
    const out = memory.output("f32", [1]);
    native.sum(out, memory.input("f32", [2, 3, 2], new Float64Array(12).fill(0.5)), false);
    expect([...(await values(out))]).toEqual([6]);
    await memory.verify();
  });

  it.each([NaN, Infinity])("the norm of a gradient with %d is not finite", async (bad) => {
    const memory = new Memory(open(backend));
    const data = normals(5000, 3).slice();
    data[4321] = bad;
    expect(Number.isFinite((await values(gradNorm(memory, data)))[0])).toBe(false);
    await memory.verify();
  });

  it("gives the same bits again", () => {
    const size = cases(backend, [300_001], [5001])[0]!;
    return expectSameBits(backend, (memory) => {
      const out = memory.output("f32", [1]);
      native.sum(out, memory.input("f32", [size], normals(size, 4)), false);
      return [out, gradNorm(memory, normals(size, 4))];
    });
  });
});
