import { describe, expect, it } from "@jest/globals";
import { native, type Tensor } from "../../lib/native.js";
import { cases, grid, open } from "../support/backends.js";
import { expectClose, expectSameBits } from "../support/closeness.js";
import { Memory, values } from "../support/memory.js";
import { normals, rounding } from "../support/numbers.js";
import { glu, gluBackward } from "../support/reference.js";

const units = {
  SwiGLU: {
    forward: (out: Tensor, gateUp: Tensor) => native.swigluForward(out, gateUp),
    backward: (dgateUp: Tensor, dout: Tensor, gateUp: Tensor) => native.swigluBackward(dgateUp, dout, gateUp),
  },
  GeGLU: {
    forward: (out: Tensor, gateUp: Tensor) => native.gegluForward(out, gateUp),
    backward: (dgateUp: Tensor, dout: Tensor, gateUp: Tensor) => native.gegluBackward(dgateUp, dout, gateUp),
  },
} as const;
const all = grid.flatMap((at) => (["SwiGLU", "GeGLU"] as const).map((unit) => ({ unit, ...at })));

describe.each(all)("$unit on $backend in $dtype", ({ unit, backend, dtype }) => {
  const round = rounding[dtype];
  const { forward, backward } = units[unit];
  const shapes = cases<readonly [number, number]>(
    backend,
    [
      [1, 32],
      [3, 40],
      [31, 33],
      [123, 96],
      [3, 997],
      [1, 1],
    ],
    [
      [1, 32],
      [3, 40],
      [7, 33],
    ],
  ).flatMap(([n, i]) => [64, 61].map((guard) => ({ n, i, guard })));

  it.each(shapes)("forward of [$n, $i], guard $guard", async ({ n, i, guard }) => {
    const memory = new Memory(open(backend), { guard });
    const gateUp = normals(n * 2 * i, 1, dtype, 3);
    const out = memory.output(dtype, [n, i]);
    forward(out, memory.input(dtype, [n, 2 * i], gateUp));
    const exact = glu(unit, gateUp, n);
    expectClose(await values(out), exact, exact.map(round));
    await memory.verify();
  });

  it.each(shapes)("backward of [$n, $i], in place and apart, guard $guard", async ({ n, i, guard }) => {
    const memory = new Memory(open(backend), { guard });
    const [gateUp, dout] = [normals(n * 2 * i, 1, dtype, 3), normals(n * i, 2, dtype)];
    const upstream = memory.input(dtype, [n, i], dout);
    const apart = memory.output(dtype, [n, 2 * i]);
    backward(apart, upstream, memory.input(dtype, [n, 2 * i], gateUp));
    const inPlace = memory.inout(dtype, [n, 2 * i], gateUp);
    backward(inPlace, upstream, inPlace);
    const exact = gluBackward(unit, dout, gateUp, n);
    expectClose(await values(apart), exact, exact.map(round));
    expect(await values(inPlace)).toEqual(await values(apart));
    await memory.verify();
  });

  it("saturates without NaN", async () => {
    const memory = new Memory(open(backend));
    const gates = [-3e38, -1e4, -100, -0, 100, 1e4];
    const gateUp = [...gates, 1, 1, 1, 1, 1, 1];
    const [out, dgateUp] = [memory.output(dtype, [1, 6]), memory.output(dtype, [1, 12])];
    const input = memory.input(dtype, [1, 12], gateUp);
    forward(out, input);
    backward(dgateUp, memory.input(dtype, [1, 6], new Float64Array(6).fill(1)), input);
    const near = (x: number): number => (Math.abs(x) < 1e-30 ? 0 : round(x));
    expect([...(await values(out))].map(near)).toEqual([0, 0, 0, 0, round(100), round(1e4)]);
    expect([...(await values(dgateUp))].map(near)).toEqual([0, 0, 0, 0.5, 1, 1, 0, 0, 0, 0, round(100), round(1e4)]);
    await memory.verify();
  });

  it("gives the same bits again", () => {
    const [n, i] = cases(backend, [[257, 200]], [[7, 40]])[0]!;
    return expectSameBits(backend, (memory) => {
      const gateUp = memory.input(dtype, [n!, 2 * i!], normals(n! * 2 * i!, 1, dtype));
      const [out, dgateUp] = [memory.output(dtype, [n!, i!]), memory.output(dtype, [n!, 2 * i!])];
      forward(out, gateUp);
      backward(dgateUp, memory.input(dtype, [n!, i!], normals(n! * i!, 2, dtype)), gateUp);
      return [out, dgateUp];
    });
  });
});
