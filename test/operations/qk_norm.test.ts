import { describe, expect, it } from "@jest/globals";
import { native, type Tensor } from "../../lib/native.js";
import { type ComputeDType, cases, grid, open } from "../support/backends.js";
import { expectClose, expectSameBits } from "../support/closeness.js";
import { Memory, values } from "../support/memory.js";
import { normals, rounding } from "../support/numbers.js";
import { rmsNorm, rmsNormBackward, rotary } from "../support/reference.js";

const EPSILON = 1e-5;

interface Shape {
  b: number;
  t: number;
  h: number;
  d: number;
  /** All heads of a position are one row. */
  across: boolean;
}

const all: Shape[] = [
  ...[16, 32, 48, 80, 128, 256].map((d) => ({ b: 2, t: 7, h: 3, d, across: false })),
  { b: 2, t: 7, h: 3, d: 64, across: true },
  { b: 1, t: 5, h: 2, d: 16, across: true },
  { b: 1, t: 33, h: 40, d: 128, across: true },
  { b: 3, t: 300, h: 3, d: 32, across: false },
  { b: 2, t: 300, h: 3, d: 32, across: true },
];
const few = [all[0]!, all[2]!, { ...all[5]!, t: 3 }, all[6]!, all[7]!, { ...all[8]!, t: 2 }];

const columns = ({ h, d, across }: Shape): number => (across ? h * d : d);
const rows = ({ b, t, h, across }: Shape): number[] => [b, t, across ? 1 : h];

/** x stands among other heads, as queries and keys do in a fused projection. */
function among(memory: Memory, { b, t, h, d }: Shape, dtype: ComputeDType, heads: Float64Array): Tensor {
  const wide = new Float64Array(b * t * (h + 3) * d).fill(7);
  for (let at = 0; at < b * t; ++at) wide.set(heads.subarray(at * h * d, (at + 1) * h * d), (at * (h + 3) + 1) * d);
  return memory.input(dtype, [b, t, h + 3, d], wide).narrow(2, 1, h);
}

function inputs(shape: Shape, dtype: ComputeDType) {
  const { b, t, h, d } = shape;
  const size = b * t * h * d;
  return { x: normals(size, 1, dtype, 3), weight: normals(columns(shape), 2, dtype), dout: normals(size, 3, dtype) };
}

function backward(memory: Memory, shape: Shape, dtype: ComputeDType, rstd: Float64Array, inPlace: boolean): Tensor[] {
  const { b, t, h, d } = shape;
  const { x, weight, dout } = inputs(shape, dtype);
  const size = [b, t, h, d];
  const upstream = inPlace ? memory.inout(dtype, size, dout) : memory.input(dtype, size, dout);
  const dx = inPlace ? upstream : memory.output(dtype, size);
  const dweight = memory.inout("f32", [columns(shape)], normals(columns(shape), 4));
  native.qkNormBackward(
    dx,
    dweight,
    upstream,
    among(memory, shape, dtype, x),
    memory.input("f32", rows(shape), rstd),
    memory.input(dtype, [columns(shape)], weight),
    memory.workspace("f32", native.qkNormBackwardWorkspace(memory.device, b * t, h, d)),
    0,
  );
  return [dx, dweight];
}

describe.each(grid)("norm of queries and keys on $backend in $dtype", ({ backend, dtype }) => {
  const round = rounding[dtype];
  const shapes = cases(backend, all, few).flatMap((shape) => [64, 61].map((guard) => ({ ...shape, guard })));

  it.each(shapes)("[$b, $t, $h, $d], over heads $across, guard $guard, is normed and turned", async (shape) => {
    const memory = new Memory(open(backend), { guard: shape.guard });
    const { b, t, h, d } = shape;
    const { x, weight } = inputs(shape, dtype);
    const [out, rstd] = [memory.output(dtype, [b, t, h, d]), memory.output("f32", rows(shape))];
    const turns = normals((t + 2) * d, 5);
    const [heads, weights] = [among(memory, shape, dtype, x), memory.input(dtype, [columns(shape)], weight)];
    native.qkNormForward(out, rstd, heads, weights, memory.input("f32", [t + 2, d / 2, 2], turns), 2, EPSILON, 0);
    const normed = rmsNorm(x, null, weight, EPSILON);
    const exact = rotary(normed.out, [b, t, h, d], turns, 2, false);
    expectClose(await values(out), exact, exact.map(round));
    expectClose(await values(rstd), normed.rstd);
    await memory.verify();
  });

  it.each([false, true])(
    "is left unturned without a table, with weights counted from 1, over heads %s",
    async (across) => {
      const memory = new Memory(open(backend));
      const shape = { b: 2, t: 5, h: 2, d: 32, across };
      const { x, weight } = inputs(shape, dtype);
      const [out, rstd] = [memory.output(dtype, [2, 5, 2, 32]), memory.output("f32", rows(shape))];
      const weights = memory.input(dtype, [columns(shape)], weight);
      native.qkNormForward(out, rstd, among(memory, shape, dtype, x), weights, null, 0, EPSILON, 1);
      const exact = rmsNorm(
        x,
        null,
        weight.map((w) => w + 1),
        EPSILON,
      ).out;
      expectClose(await values(out), exact, exact.map(round));
      await memory.verify();
    },
  );

  it.each(shapes)(
    "backward of [$b, $t, $h, $d], over heads $across, guard $guard, in place and apart",
    async (shape) => {
      const memory = new Memory(open(backend), { guard: shape.guard });
      const { x, weight, dout } = inputs(shape, dtype);
      const { rstd } = rmsNorm(x, null, weight, EPSILON);
      const exact = rmsNormBackward(dout, x, rstd, weight, null, normals(columns(shape), 4));
      const [dx, dweight] = backward(memory, shape, dtype, rstd, false);
      const [over] = backward(memory, shape, dtype, rstd, true);
      expectClose(await values(dx!), exact.dx, exact.dx.map(round));
      expectClose(await values(dweight!), exact.dweight);
      expect(await values(over!)).toEqual(await values(dx!));
      await memory.verify();
    },
  );

  it.each([false, true])("gives the same bits again, over heads %s", (across) => {
    const shape = { b: 2, t: 70, h: 2, d: 32, across };
    const { x, weight } = inputs(shape, dtype);
    const { rstd } = rmsNorm(x, null, weight, EPSILON);
    return expectSameBits(backend, (memory) => {
      const [out, scales] = [memory.output(dtype, [2, 70, 2, 32]), memory.output("f32", rows(shape))];
      const weights = memory.input(dtype, [columns(shape)], weight);
      native.qkNormForward(out, scales, among(memory, shape, dtype, x), weights, null, 0, EPSILON, 0);
      return [out, scales, ...backward(memory, shape, dtype, rstd, false)];
    });
  });
});
