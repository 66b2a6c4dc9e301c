import { describe, expect, it } from "@jest/globals";
import { native, Tensor } from "../../lib/native.js";
import { dataOf, enqueueForward, problems, scaleOf, title } from "../support/attention_problem.js";
import { grid, open } from "../support/backends.js";
import { expectClose, expectSameBits } from "../support/closeness.js";
import { Memory, values } from "../support/memory.js";
import { normals, rounding } from "../support/numbers.js";
import { attention } from "../support/reference_attention.js";

describe.each(grid)("attention on $backend in $dtype", ({ backend, dtype }) => {
  const device = open(backend);
  const round = rounding[dtype];

  it.each(problems(backend))(title, async (p) => {
    const memory = new Memory(device, { guard: p.guard });
    const data = dataOf(p, dtype);
    const { out, lse } = enqueueForward(memory, p, dtype, data);
    const plain = attention(data.q, data.k, data.v, p, scaleOf(p), round);
    expectClose(await values(out), data.out, plain.out);
    expectClose(await values(lse), data.lse);
    await memory.verify();
  });

  it("writes heads of a larger tensor and leaves the others", async () => {
    const shape = { batch: 1, queries: 9, keys: 9, heads: 2, kvHeads: 2, headDim: 32 };
    const memory = new Memory(device);
    const [q, k, v] = [normals(576, 1, dtype), normals(576, 2, dtype), normals(576, 3, dtype)];
    const wide = memory.inout(dtype, [1, 9, 4, 32], new Float64Array(9 * 128).fill(5));
    const lse = memory.output("f32", [1, 2, 9]);
    const [tq, tk, tv] = [q, k, v].map((x) => memory.input(dtype, [1, 9, 2, 32], x));
    native.attentionForward(wide.narrow(2, 1, 2), lse, tq!, tk!, tv!, 0.2, 0);
    const exact = attention(q, k, v, shape, 0.2).out;
    const plain = attention(q, k, v, shape, 0.2, round).out;
    const widened = (x: Float64Array): Float64Array => {
      const out = new Float64Array(9 * 128).fill(5);
      for (let t = 0; t < 9; ++t) out.set(x.subarray(t * 64, t * 64 + 64), t * 128 + 32);
      return out;
    };
    const got = await values(wide);
    expectClose(got, widened(exact), widened(plain));
    expect(got.every((x, i) => (i % 128 >= 32 && i % 128 < 96) || x === 5)).toBe(true);
    await memory.verify();
  });

  it("does not read the tiles of keys that no query of a tile sees", async () => {
    const p = { ...problems(backend)[0]!, queries: 64, keys: 512, headDim: 64, window: 64 };
    const memory = new Memory(device);
    const data = dataOf(p, dtype);
    const near = (x: Float64Array): Float64Array => x.map((value, i) => (i < 256 * p.headDim ? NaN : value));
    const { out, lse } = enqueueForward(memory, p, dtype, { ...data, k: near(data.k), v: near(data.v) });
    expect((await values(out)).every(Number.isFinite)).toBe(true);
    expectClose(await values(lse), data.lse);
    await memory.verify();
  });

  it("stays exact where scores are far apart", async () => {
    const shape = { batch: 1, queries: 70, keys: 70, heads: 1, kvHeads: 1, headDim: 32 };
    const memory = new Memory(device);
    const [q, k, v] = [normals(2240, 1, dtype, 30), normals(2240, 2, dtype, 30), normals(2240, 3, dtype)];
    const out = memory.output(dtype, [1, 70, 1, 32]);
    const lse = memory.output("f32", [1, 1, 70]);
    const [tq, tk, tv] = [q, k, v].map((x) => memory.input(dtype, [1, 70, 1, 32], x));
    native.attentionForward(out, lse, tq!, tk!, tv!, 1, 0);
    const exact = attention(q, k, v, shape, 1);
    // Scores of some ten thousand carry the rounding of an f32 product sum, which the exponential turns into
    // a relative error: 2^-24 * 1e4.
    const got = await values(out);
    const worst = exact.out.reduce((most, x, i) => Math.max(most, Math.abs(x - got[i]!)), 0);
    expect(worst).toBeLessThanOrEqual(dtype === "bf16" ? 2 ** -6 : 2 ** -24 * 1e4);
    expectClose(await values(lse), exact.lse);
    await memory.verify();
  });

  // Recorded, not run: what a launch may ask for is checked as it is recorded, and this many blocks take simt minutes.
  it("can be launched for more sequences than a grid has in its second dimension", async () => {
    const [batch, headDim] = [65_536, 32];
    const tensor = (): Tensor => new Tensor(device, dtype, [batch, 1, 1, headDim]);
    const [out, q, k, v, dout, dq, dk, dv] = Array.from({ length: 8 }, tensor);
    const lse = new Tensor(device, "f32", [batch, 1, 1]);
    const elements = native.attentionBackwardWorkspace(device, batch, 1, 1, 1, 1, headDim);
    const workspace = new Tensor(device, "f32", [elements]);
    device.beginCapture();
    native.attentionForward(out!, lse, q!, k!, v!, 1, 0);
    native.attentionBackward(dq!, dk!, dv!, dout!, q!, k!, v!, out!, lse, workspace, null, 1, 0);
    device.endCapture().dispose();
    await device.synchronize();
    for (const made of [out, q, k, v, dout, dq, dk, dv, lse, workspace]) made!.dispose();
  });

  it("gives the same bits again", () => {
    const some = problems(backend)
      .filter((p) => p.guard === 64)
      .slice(1, 8)
      .map((p) => ({ p, data: dataOf(p, dtype) }));
    return expectSameBits(backend, (memory) =>
      some.flatMap(({ p, data }) => Object.values(enqueueForward(memory, p, dtype, data))),
    );
  });
});
