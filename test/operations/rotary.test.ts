import { describe, expect, it } from "@jest/globals";
import { native, type Tensor } from "../../lib/native.js";
import { backends, type ComputeDType, cases, grid, open } from "../support/backends.js";
import { expectClose, expectSameBits } from "../support/closeness.js";
import { Memory, values } from "../support/memory.js";
import { normals, rounding } from "../support/numbers.js";
import { rotary, rotaryTable } from "../support/reference.js";

const frequencies = (headDim: number): Float64Array =>
  Float64Array.from({ length: headDim / 2 }, (_, i) => Math.fround(10_000 ** ((-2 * i) / headDim)));

describe.each(backends)("rotaryTable on %s", (backend) => {
  it.each([
    [1, 32],
    [31, 80],
    [123, 128],
  ])("%i positions of head dimension %i", async (positions, headDim) => {
    const memory = new Memory(open(backend), { guard: 61 });
    const table = memory.output("f32", [positions, headDim / 2, 2]);
    native.rotaryTable(table, memory.input("f32", [headDim / 2], frequencies(headDim)), 1);
    // The angle is a product in f32 or wider, so its error grows with the position.
    const got = await values(table);
    const expected = rotaryTable(frequencies(headDim), positions);
    const worst = expected.reduce((most, x, i) => Math.max(most, Math.abs(x - got[i]!)), 0);
    expect(worst).toBeLessThanOrEqual(positions * 2 ** -24 + 2 ** -22);
    await memory.verify();
  });

  it("is multiplied by a scale", async () => {
    const memory = new Memory(open(backend));
    const table = memory.output("f32", [31, 16, 2]);
    native.rotaryTable(table, memory.input("f32", [16], frequencies(32)), 1.25);
    const expected = rotaryTable(frequencies(32), 31).map((x) => 1.25 * x);
    expectClose(await values(table), expected);
    await memory.verify();
  });

  it("stays accurate at far positions", async () => {
    const positions = cases(backend, [8192], [512])[0]!;
    const memory = new Memory(open(backend));
    const table = memory.output("f32", [positions, 16, 2]);
    native.rotaryTable(table, memory.input("f32", [16], frequencies(32)), 1);
    const expected = rotaryTable(frequencies(32), positions).slice(-32);
    const last = (await values(table)).slice(-32);
    expect(Math.max(...last.map((x, i) => Math.abs(x - expected[i]!)))).toBeLessThanOrEqual(positions * 2 ** -24);
    await memory.verify();
  });
});

describe.each(grid)("rotary on $backend in $dtype", ({ backend, dtype }) => {
  const shapes = cases<readonly [number, number, number, number]>(
    backend,
    [
      [1, 1, 1, 32],
      [2, 3, 4, 64],
      [1, 31, 3, 80],
      [2, 31, 2, 96],
      [1, 123, 2, 128],
      [1, 3, 2, 256],
      [1, 3, 5, 6],
    ],
    [
      [1, 1, 1, 32],
      [2, 3, 4, 64],
      [1, 7, 3, 80],
      [1, 3, 5, 6],
    ],
  );

  async function rotated(
    shape: readonly [number, number, number, number],
    offset: number,
    inverse: boolean,
    guard: number,
  ): Promise<void> {
    const [b, t, h, d] = shape;
    const x = normals(b * t * h * d, 1, dtype);
    const table = rotaryTable(frequencies(d), t + offset + 2).map(Math.fround);
    const memory = new Memory(open(backend), { guard });
    const tensor = memory.inout(dtype, shape, x);
    native.rotary(tensor, memory.input("f32", [t + offset + 2, d / 2, 2], table), offset, inverse);
    const exact = rotary(x, shape, table, offset, inverse);
    expectClose(await values(tensor), exact, exact.map(rounding[dtype]));
    await memory.verify();
  }

  it.each(shapes)("turns [%i, %i, %i, %i] both ways, from any position", async (...shape) => {
    await rotated(shape, 0, false, 64);
    await rotated(shape, 0, true, 64);
    await rotated(shape, 17, false, 61);
    await rotated(shape, 17, true, 61);
  });

  it("turns the query and key heads of a fused tensor and leaves the values", async () => {
    const [b, t, heads, d] = [2, 5, 8, 64];
    const x = normals(b * t * heads * d, 2, dtype);
    const table = rotaryTable(frequencies(d), t).map(Math.fround);
    const memory = new Memory(open(backend));
    const fused = memory.inout(dtype, [b, t, heads, d], x);
    native.rotary(fused.narrow(2, 1, 5), memory.input("f32", [t, d / 2, 2], table), 0, false);
    const turned = rotary(x, [b, t, heads, d], table, 0, false);
    const exact = turned.map((value, i) =>
      Math.floor(i / d) % heads >= 1 && Math.floor(i / d) % heads < 6 ? value : x[i]!,
    );
    expectClose(await values(fused), exact, exact.map(rounding[dtype]));
    await memory.verify();
  });

  it("gives the same bits again", () => expectSameBits(backend, (memory) => [turnedOnce(memory, dtype)]));
});

function turnedOnce(memory: Memory, dtype: ComputeDType): Tensor {
  const x = memory.inout(dtype, [2, 31, 4, 32], normals(2 * 31 * 4 * 32, 3, dtype));
  native.rotary(x, memory.input("f32", [31, 16, 2], rotaryTable(frequencies(32), 31)), 0, false);
  return x;
}
