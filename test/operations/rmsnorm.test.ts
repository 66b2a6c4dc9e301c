import { describe, expect, it } from "@jest/globals";
import { native, type Tensor } from "../../lib/native.js";
import { type ComputeDType, cases, grid, open } from "../support/backends.js";
import { expectClose, expectSameBits } from "../support/closeness.js";
import { Memory, values } from "../support/memory.js";
import { normals, rounding } from "../support/numbers.js";
import { rmsNorm, rmsNormBackward } from "../support/reference.js";

const EPSILON = 1e-5;

interface Inputs {
  x: Float64Array;
  add: Float64Array;
  weight: Float64Array;
  dout: Float64Array;
}

function inputs(n: number, c: number, dtype: ComputeDType): Inputs {
  return {
    x: normals(n * c, 1, dtype, 3),
    add: normals(n * c, 2, dtype),
    weight: normals(c, 3, dtype),
    dout: normals(n * c, 4, dtype),
  };
}

type Forward = Record<"out" | "sum" | "rstd", Tensor>;

/** `sum` goes to memory of its own, or over x or add. */
function forward(memory: Memory, n: number, c: number, dtype: ComputeDType, over?: "x" | "add"): Forward {
  const data = inputs(n, c, dtype);
  const take = (name: "x" | "add"): Tensor =>
    over === name ? memory.inout(dtype, [n, c], data[name]) : memory.input(dtype, [n, c], data[name]);
  const [x, add] = [take("x"), take("add")];
  const sum = over === "x" ? x : over === "add" ? add : memory.output(dtype, [n, c]);
  const [out, rstd] = [memory.output(dtype, [n, c]), memory.output("f32", [n])];
  native.rmsNormForward(out, sum, rstd, x, add, memory.input(dtype, [c], data.weight), EPSILON, 0);
  return { out, sum, rstd };
}

function backward(
  memory: Memory,
  n: number,
  c: number,
  dtype: ComputeDType,
  accumulate: boolean,
  weightOffset = 0,
): Tensor[] {
  const { x, weight, dout } = inputs(n, c, dtype);
  const { rstd } = rmsNorm(x, null, weight, EPSILON);
  const dx = accumulate ? memory.inout(dtype, [n, c], normals(n * c, 5, dtype)) : memory.output(dtype, [n, c]);
  const dweight = memory.inout("f32", [c], normals(c, 6));
  native.rmsNormBackward(
    dx,
    dweight,
    memory.input(dtype, [n, c], dout),
    memory.input(dtype, [n, c], x),
    memory.input("f32", [n], rstd),
    memory.input(dtype, [c], weight),
    memory.workspace("f32", native.rmsNormBackwardWorkspace(memory.device, n, c)),
    accumulate,
    weightOffset,
  );
  return [dx, dweight];
}

describe.each(grid)("RMSNorm on $backend in $dtype", ({ backend, dtype }) => {
  const round = rounding[dtype];
  const shapes = cases<readonly [number, number]>(
    backend,
    [
      [1, 32],
      [3, 40],
      [31, 96],
      [123, 64],
      [3, 997],
      [123, 33],
      [3, 4096],
      [2, 12_296],
      [19, 520],
      [5, 1544],
    ],
    [
      [1, 32],
      [3, 40],
      [31, 33],
      [2, 12_296],
      [19, 520],
      [5, 1544],
      [2, 2056],
    ],
  );
  const grown = shapes.flatMap(([n, c]) => [64, 61].map((guard) => ({ n, c, guard })));

  it.each(grown)("[$n, $c] with the residual, guard $guard", async ({ n, c, guard }) => {
    const memory = new Memory(open(backend), { guard });
    const { x, add, weight } = inputs(n, c, dtype);
    const { out, sum, rstd } = forward(memory, n, c, dtype);
    const exact = rmsNorm(x, add, weight, EPSILON);
    const plain = rmsNorm(x, add, weight, EPSILON, round);
    expect(await values(sum)).toEqual(plain.sum);
    expectClose(await values(out), exact.out, plain.out);
    expectClose(await values(rstd), plain.rstd);
    await memory.verify();
  });

  it.each(grown)("[$n, $c] without the residual, guard $guard", async ({ n, c, guard }) => {
    const memory = new Memory(open(backend), { guard });
    const { x, weight } = inputs(n, c, dtype);
    const [out, rstd] = [memory.output(dtype, [n, c]), memory.output("f32", [n])];
    native.rmsNormForward(
      out,
      null,
      rstd,
      memory.input(dtype, [n, c], x),
      null,
      memory.input(dtype, [c], weight),
      EPSILON,
      0,
    );
    const exact = rmsNorm(x, null, weight, EPSILON);
    expectClose(await values(out), exact.out, exact.out.map(round));
    expectClose(await values(rstd), exact.rstd);
    await memory.verify();
  });

  it.each(["x", "add"] as const)("the sum may take the place of %s", async (over) => {
    const memory = new Memory(open(backend));
    const apart = forward(memory, 31, 40, dtype);
    const aliased = forward(memory, 31, 40, dtype, over);
    for (const name of ["out", "sum", "rstd"] as const) {
      expect(await values(aliased[name])).toEqual(await values(apart[name]));
    }
    await memory.verify();
  });

  it.each(grown)("[$n, $c] onto the residual, guard $guard", async ({ n, c, guard }) => {
    const memory = new Memory(open(backend), { guard });
    const { x, add: residual, weight } = inputs(n, c, dtype);
    const [apart, rstd] = [memory.output(dtype, [n, c]), memory.output("f32", [n])];
    const over = memory.inout(dtype, [n, c], residual);
    const [branch, stream] = [memory.input(dtype, [n, c], x), memory.input(dtype, [n, c], residual)];
    const weights = memory.input(dtype, [c], weight);
    native.rmsNormResidualForward(apart, rstd, stream, branch, weights, EPSILON, 1);
    native.rmsNormResidualForward(over, rstd, over, branch, weights, EPSILON, 1);
    const normed = rmsNorm(
      x,
      null,
      weight.map((w) => w + 1),
      EPSILON,
    );
    const exact = normed.out.map((value, i) => value + residual[i]!);
    expectClose(await values(apart), exact, exact.map(round));
    expect(await values(over)).toEqual(await values(apart));
    expectClose(await values(rstd), normed.rstd);
    await memory.verify();
  });

  it("counts the weights from 1 if they are kept so, forward and backward", async () => {
    const memory = new Memory(open(backend));
    const [n, c] = [31, 40];
    const { x, weight, dout } = inputs(n, c, dtype);
    const near = weight.map((w) => w + 1);
    const [out, rstd] = [memory.output(dtype, [n, c]), memory.output("f32", [n])];
    const [rows, weights] = [memory.input(dtype, [n, c], x), memory.input(dtype, [c], weight)];
    native.rmsNormForward(out, null, rstd, rows, null, weights, EPSILON, 1);
    const exact = rmsNorm(x, null, near, EPSILON);
    expectClose(await values(out), exact.out, exact.out.map(round));
    const [dx, dweight] = backward(memory, n, c, dtype, false, 1);
    const gradients = rmsNormBackward(dout, x, exact.rstd, near, null, normals(c, 6));
    expectClose(await values(dx!), gradients.dx, gradients.dx.map(round));
    expectClose(await values(dweight!), gradients.dweight);
    await memory.verify();
  });

  it("keeps a row of zeros finite and its gradient with it", async () => {
    const memory = new Memory(open(backend));
    const [out, rstd] = [memory.output(dtype, [1, 32]), memory.output("f32", [1])];
    const zeros = memory.input(dtype, [1, 32], new Float64Array(32));
    const weight = memory.input(dtype, [32], new Float64Array(32).fill(1));
    native.rmsNormForward(out, null, rstd, zeros, null, weight, EPSILON, 0);
    expect(await values(out)).toEqual(new Float64Array(32));
    expectClose(await values(rstd), [1 / Math.sqrt(EPSILON)]);
    await memory.verify();
  });

  it.each(grown.flatMap((shape) => [false, true].map((accumulate) => ({ ...shape, accumulate }))))(
    "backward of [$n, $c], accumulate $accumulate, guard $guard",
    async ({ n, c, guard, accumulate }) => {
      const memory = new Memory(open(backend), { guard });
      const { x, weight, dout } = inputs(n, c, dtype);
      const { rstd } = rmsNorm(x, null, weight, EPSILON);
      const [dx, dweight] = backward(memory, n, c, dtype, accumulate);
      const dx0 = accumulate ? normals(n * c, 5, dtype) : null;
      const exact = rmsNormBackward(dout, x, rstd, weight, dx0, normals(c, 6));
      expectClose(await values(dx!), exact.dx, exact.dx.map(round));
      expectClose(await values(dweight!), exact.dweight);
      await memory.verify();
    },
  );

  it.each([
    [4300, 8, 64],
    [530, 1030, 61],
  ])(
    "sums the weight's gradient over %d rows, of %d columns, more than there are partial sums, guard %d",
    async (n, c, guard) => {
      const memory = new Memory(open(backend), { guard });
      const { x, weight, dout } = inputs(n, c, dtype);
      const { rstd } = rmsNorm(x, null, weight, EPSILON);
      const [dx, dweight] = backward(memory, n, c, dtype, false);
      const exact = rmsNormBackward(dout, x, rstd, weight, null, normals(c, 6));
      expectClose(await values(dx!), exact.dx, exact.dx.map(round));
      expectClose(await values(dweight!), exact.dweight);
      await memory.verify();
    },
  );

  it("gives the same bits again", () => {
    const [n, c] = cases(backend, [[257, 200]], [[31, 40]])[0]!;
    return expectSameBits(backend, (memory) => {
      const { out, sum, rstd } = forward(memory, n!, c!, dtype);
      return [out, sum, rstd, ...backward(memory, n!, c!, dtype, false), ...backward(memory, n!, c!, dtype, true)];
    });
  });
});
