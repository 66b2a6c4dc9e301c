import { describe, expect, it } from "@jest/globals";
import { native } from "../../lib/native.js";
import { cases, grid, open } from "../support/backends.js";
import { expectClose, expectSameBits } from "../support/closeness.js";
import { Memory, values } from "../support/memory.js";
import { normals, rounding } from "../support/numbers.js";

describe.each(grid)("bias on $backend in $dtype", ({ backend, dtype }) => {
  const shapes = cases<readonly [number, number]>(
    backend,
    [
      [1, 32],
      [3, 997],
      [123, 40],
      [530, 264],
      [4300, 8],
    ],
    [
      [1, 33],
      [31, 264],
      [140, 8],
    ],
  ).flatMap(([n, c]) => [64, 61].map((guard) => ({ n, c, guard })));

  it.each(shapes)("is added to each of [$n, $c], guard $guard", async ({ n, c, guard }) => {
    const memory = new Memory(open(backend), { guard });
    const [x, bias] = [normals(n * c, 1, dtype), normals(c, 2, dtype)];
    const rows = memory.inout(dtype, [n, c], x);
    native.biasForward(rows, memory.input(dtype, [c], bias));
    expect(await values(rows)).toEqual(x.map((value, i) => rounding[dtype](value + bias[i % c]!)));
    await memory.verify();
  });

  it.each(shapes)("its gradient adds up the columns of [$n, $c], guard $guard", async ({ n, c, guard }) => {
    const memory = new Memory(open(backend), { guard });
    const [dout, before] = [normals(n * c, 1, dtype), normals(c, 2)];
    const dbias = memory.inout("f32", [c], before);
    const workspace = memory.workspace("f32", native.biasBackwardWorkspace(memory.device, n, c));
    native.biasBackward(dbias, memory.input(dtype, [n, c], dout), workspace);
    const expected = Float64Array.from(before);
    for (const [i, value] of dout.entries()) expected[i % c]! += value;
    expectClose(await values(dbias), expected);
    await memory.verify();
  });

  it("gives the same bits again", () =>
    expectSameBits(backend, (memory) => {
      const [n, c] = [260, 40];
      const dbias = memory.inout("f32", [c], normals(c, 2));
      const workspace = memory.workspace("f32", native.biasBackwardWorkspace(memory.device, n, c));
      native.biasBackward(dbias, memory.input(dtype, [n, c], normals(n * c, 1, dtype)), workspace);
      return [dbias];
    }));
});
