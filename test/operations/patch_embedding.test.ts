import { describe, expect, it } from "@jest/globals";
import { native, type Tensor } from "../../lib/native.js";
import { type ComputeDType, cases, grid, open } from "../support/backends.js";
import { expectClose, expectSameBits } from "../support/closeness.js";
import { Memory, values } from "../support/memory.js";
import { integers, normals, rounding } from "../support/numbers.js";
import { patchEmbedding, patchEmbeddingBackward } from "../support/reference.js";

interface Shape {
  n: number;
  k: number;
  c: number;
  v: number;
}

const all: Shape[] = [
  { n: 1, k: 1, c: 32, v: 997 },
  { n: 3, k: 4, c: 40, v: 997 },
  { n: 31, k: 3, c: 96, v: 31 },
  { n: 123, k: 8, c: 64, v: 997 },
  { n: 123, k: 4, c: 33, v: 3 },
  { n: 31, k: 1, c: 7, v: 1 },
  { n: 700, k: 2, c: 48, v: 600 },
  { n: 70, k: 1, c: 132, v: 2100 },
];
const few = [all[0]!, all[1]!, { n: 13, k: 3, c: 33, v: 5 }, ...all.slice(-2)];

function forward(memory: Memory, { n, k, c, v }: Shape, dtype: ComputeDType, tokens: Int32Array, scale = 1): Tensor {
  const out = memory.output(dtype, [n, c]);
  const table = memory.input(dtype, [v, c], normals(v * c, 1, dtype));
  native.patchEmbeddingForward(out, memory.input("i32", [n * k], tokens), table, scale);
  return out;
}

function backward(memory: Memory, { n, k, c, v }: Shape, dtype: ComputeDType, tokens: Int32Array, scale = 1): Tensor {
  const dtable = memory.inout("f32", [v, c], normals(v * c, 2));
  const dout = memory.input(dtype, [n, c], normals(n * c, 3, dtype));
  const workspace = memory.workspace("i32", native.patchEmbeddingBackwardWorkspace(memory.device, n * k, v));
  native.patchEmbeddingBackward(dtable, dout, memory.input("i32", [n * k], tokens), workspace, scale);
  return dtable;
}

describe.each(grid)("patch embedding on $backend in $dtype", ({ backend, dtype }) => {
  const device = open(backend);
  const shapes = cases(backend, all, few).flatMap((shape) => [64, 61].map((guard) => ({ ...shape, guard })));

  it.each(shapes)("averages $n patches of $k tokens, [$v, $c] table, guard $guard", async ({ guard, ...shape }) => {
    const memory = new Memory(device, { guard });
    const { n, k, c, v } = shape;
    const tokens = integers(n * k, v, 4);
    const exact = patchEmbedding(tokens, normals(v * c, 1, dtype), n, c);
    expectClose(await values(forward(memory, shape, dtype, tokens)), exact, exact.map(rounding[dtype]));
    await memory.verify();
  });

  it.each(shapes)(
    "adds the gradient of $n patches of $k tokens to the [$v, $c] table's, guard $guard",
    async ({ guard, ...shape }) => {
      const memory = new Memory(device, { guard });
      const { n, k, c, v } = shape;
      const tokens = integers(n * k, v, 4);
      const expected = patchEmbeddingBackward(normals(v * c, 2), normals(n * c, 3, dtype), tokens, n);
      expectClose(await values(backward(memory, shape, dtype, tokens)), expected);
      await memory.verify();
    },
  );

  it("scales the embeddings, and their gradient", async () => {
    const memory = new Memory(device);
    const shape = { n: 97, k: 3, c: 40, v: 50 };
    const tokens = integers(97 * 3, 50, 7);
    const exact = patchEmbedding(tokens, normals(2000, 1, dtype), 97, 40).map((x) => 25.25 * x);
    expectClose(await values(forward(memory, shape, dtype, tokens, 25.25)), exact, exact.map(rounding[dtype]));
    const dout = normals(97 * 40, 3, dtype).map((x) => 25.25 * x);
    const expected = patchEmbeddingBackward(normals(2000, 2), dout, tokens, 97);
    expectClose(await values(backward(memory, shape, dtype, tokens, 25.25)), expected);
    await memory.verify();
  });

  it("adds up a token that fills all patches", async () => {
    const memory = new Memory(device);
    const shape = { n: 61, k: 4, c: 40, v: 5 };
    const tokens = new Int32Array(61 * 4).fill(3);
    const expected = patchEmbeddingBackward(normals(200, 2), normals(61 * 40, 3, dtype), tokens, 61);
    expectClose(await values(backward(memory, shape, dtype, tokens)), expected);
    await memory.verify();
  });

  it("adds up a token that is every other one of all patches, between others", async () => {
    const memory = new Memory(device);
    const shape = { n: 97, k: 3, c: 40, v: 50 };
    const tokens = integers(97 * 3, 50, 7).map((token, i) => (i % 2 === 0 ? 17 : token));
    const expected = patchEmbeddingBackward(normals(2000, 2), normals(97 * 40, 3, dtype), tokens, 97);
    expectClose(await values(backward(memory, shape, dtype, tokens)), expected);
    await memory.verify();
  });

  it.each([-1, -100, 11, 2 ** 31 - 1, -(2 ** 31)])("reports token id %d and takes its row for zeros", async (bad) => {
    const shape = { n: 5, k: 3, c: 40, v: 11 };
    const tokens = integers(15, 11, 5);
    tokens[7] = bad;
    for (const operation of [forward, backward]) {
      const memory = new Memory(device);
      const out = operation(memory, shape, dtype, tokens);
      const error: Error = await device.synchronize().then(
        () => new Error("nothing reported"),
        (e: Error) => e,
      );
      expect(error.name).toBe("RangeError");
      expect(error.message).toContain(String(bad));
      const exact =
        operation === forward
          ? patchEmbedding(tokens, normals(11 * 40, 1, dtype), 5, 40)
          : patchEmbeddingBackward(normals(11 * 40, 2), normals(5 * 40, 3, dtype), tokens, 5);
      expectClose(await values(out), exact, operation === forward ? exact.map(rounding[dtype]) : exact);
      await memory.verify();
    }
  });

  it("works again after a report", async () => {
    const memory = new Memory(device);
    forward(memory, { n: 1, k: 1, c: 32, v: 2 }, dtype, Int32Array.of(2));
    await expect(device.synchronize()).rejects.toThrow("2");
    const out = forward(memory, { n: 1, k: 1, c: 32, v: 2 }, dtype, Int32Array.of(1));
    expect(await values(out)).toEqual(normals(64, 1, dtype).slice(32));
    await memory.verify();
  });

  it("gives the same bits again", () => {
    const shape = cases(backend, [{ n: 123, k: 8, c: 40, v: 97 }], [{ n: 13, k: 4, c: 40, v: 7 }])[0]!;
    const tokens = integers(shape.n * shape.k, shape.v, 6);
    return expectSameBits(backend, (memory) => [
      forward(memory, shape, dtype, tokens),
      backward(memory, shape, dtype, tokens),
    ]);
  });
});
