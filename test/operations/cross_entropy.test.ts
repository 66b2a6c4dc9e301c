import { describe, expect, it } from "@jest/globals";
import { native, type Tensor } from "../../lib/native.js";
import { type ComputeDType, cases, grid, open } from "../support/backends.js";
import { expectClose, expectSameBits } from "../support/closeness.js";
import { Memory, values } from "../support/memory.js";
import { integers, normals, rounding } from "../support/numbers.js";
import { IGNORED } from "../support/reference.js";
import { crossEntropy } from "../support/reference_training.js";

/** Rows longer than a GPU's block keeps in registers, in f32 and in bf16, and than its shared memory has room for. */
const long = [
  [2, 9001, 4],
  [1, 17_001, 4],
  [1, 150_001, 4],
];

interface Problem {
  rows: number;
  v: number;
  k: number;
}

function coefficientsOf({ rows, k }: Problem): Float64Array {
  return Float64Array.from({ length: k }, (_, j) => Math.fround((j + 1) / (rows * k)));
}

/** Labels of which a fourth is ignored. */
function labelsOf({ rows, v, k }: Problem): Int32Array {
  const dice = integers(rows * k, 4, 8);
  return integers(rows * k, v, 7).map((id, i) => (dice[i] === 0 ? IGNORED : id));
}

function enqueue(
  memory: Memory,
  p: Problem,
  dtype: ComputeDType,
  labels: Int32Array,
  gradient: boolean,
): { losses: Tensor; logits: Tensor } {
  const data = normals(p.rows * p.v, 1, dtype, 3);
  const shape = [p.rows, p.v];
  const logits = gradient ? memory.inout(dtype, shape, data) : memory.input(dtype, shape, data);
  const losses = memory.output("f32", [p.rows]);
  const coefficients = memory.input("f32", [p.k], coefficientsOf(p));
  native.crossEntropy(losses, logits, memory.input("i32", [p.rows, p.k], labels), coefficients, gradient);
  return { losses, logits };
}

describe.each(grid)("cross-entropy on $backend in $dtype", ({ backend, dtype }) => {
  const device = open(backend);
  const shapes = cases<Problem>(
    backend,
    [
      [1, 997, 1],
      [3, 997, 4],
      [31, 997, 8],
      [123, 31, 3],
      [3, 8192, 4],
      [1, 1, 2],
      [5, 40, 5],
      [4, 7, 33],
      ...long,
    ].map(([rows, v, k]) => ({ rows: rows!, v: v!, k: k! })),
    [[1, 997, 1], [3, 97, 4], [5, 7, 8], [4, 7, 33], ...long].map(([rows, v, k]) => ({ rows: rows!, v: v!, k: k! })),
  ).flatMap((p) => [64, 61].map((guard) => ({ ...p, guard })));

  async function check(p: Problem, labels: Int32Array, guard = 64): Promise<void> {
    const exact = crossEntropy(normals(p.rows * p.v, 1, dtype, 3), labels, coefficientsOf(p), p.rows);
    for (const gradient of [false, true]) {
      const memory = new Memory(device, { guard });
      const { losses, logits } = enqueue(memory, p, dtype, labels, gradient);
      expectClose(await values(losses), exact.losses);
      if (gradient) expectClose(await values(logits), exact.gradient, exact.gradient.map(rounding[dtype]));
      await memory.verify();
    }
  }

  it.each(shapes)("$rows rows, $k labels of $v, some ignored, guard $guard", ({ guard, ...p }) =>
    p.v === 1 ? degenerate(p) : check(p, labelsOf(p), guard),
  );

  /** With a vocabulary of one token the loss and its gradient are 0. */
  async function degenerate(p: Problem): Promise<void> {
    const memory = new Memory(device);
    const { losses, logits } = enqueue(memory, p, dtype, new Int32Array(p.rows * p.k), true);
    for (const x of [...(await values(losses)), ...(await values(logits))]) expect(Math.abs(x)).toBeLessThan(1e-6);
    await memory.verify();
  }

  it("adds up labels that repeat inside a patch", () =>
    check({ rows: 3, v: 40, k: 4 }, Int32Array.of(5, 5, 5, 5, 0, 39, 0, 39, 7, 7, IGNORED, 7)));

  it("gives 0 and no gradient where all labels are ignored", async () => {
    const memory = new Memory(device);
    const p = { rows: 3, v: 97, k: 2 };
    const { losses, logits } = enqueue(memory, p, dtype, new Int32Array(6).fill(IGNORED), true);
    expect((await values(losses)).every((x) => x === 0)).toBe(true);
    expect((await values(logits)).every((x) => x === 0)).toBe(true);
    await memory.verify();
  });

  it.each([-1, 97, 2 ** 31 - 1, -(2 ** 31)])("reports label %d and ignores it", async (bad) => {
    const p = { rows: 3, v: 97, k: 4 };
    const labels = labelsOf(p);
    labels[6] = bad;
    const exact = crossEntropy(normals(3 * 97, 1, dtype, 3), labels, coefficientsOf(p), 3);
    for (const gradient of [false, true]) {
      const memory = new Memory(device);
      const { losses, logits } = enqueue(memory, p, dtype, labels, gradient);
      const error: Error = await device.synchronize().then(
        () => new Error("nothing reported"),
        (e: Error) => e,
      );
      expect(error.name).toBe("RangeError");
      expect(error.message).toContain(String(bad));
      expectClose(await values(losses), exact.losses);
      if (gradient) expectClose(await values(logits), exact.gradient, exact.gradient.map(rounding[dtype]));
      await memory.verify();
    }
  });

  it("names a bad token by its own vocabulary where a label is bad too, then nothing", async () => {
    const memory = new Memory(device);
    const [out, losses] = [memory.output(dtype, [2, 8]), memory.output("f32", [1])];
    const table = memory.input(dtype, [11, 8], normals(88, 1, dtype));
    const logits = memory.input(dtype, [1, 97], normals(97, 1, dtype));
    const [tokens, labels] = [memory.input("i32", [2], [3, 12]), memory.input("i32", [1, 1], [98])];
    const coefficients = memory.input("f32", [1], [1]);
    native.patchEmbeddingForward(out, tokens, table, 1);
    native.crossEntropy(losses, logits, labels, coefficients, false);
    await expect(device.synchronize()).rejects.toThrow("token id 12 at index 1 is outside the vocabulary of 11");
    await device.synchronize();
    await memory.verify();
  });

  it("does not overflow for large logits", async () => {
    const memory = new Memory(device);
    const big = rounding[dtype](3e4);
    const logits = memory.inout(dtype, [2, 3], [big, 0, -big, -big, -big, -big]);
    const losses = memory.output("f32", [2]);
    native.crossEntropy(losses, logits, memory.input("i32", [2, 1], [2, 1]), memory.input("f32", [1], [1]), true);
    expectClose(await values(losses), [2 * big, Math.log(3)]);
    expectClose(
      await values(logits),
      [1, 0, -1, 1 / 3, -2 / 3, 1 / 3],
      [1, 0, -1, 1 / 3, -2 / 3, 1 / 3].map(rounding[dtype]),
    );
    await memory.verify();
  });

  it("lets NaN through", async () => {
    const memory = new Memory(device);
    const logits = memory.inout(dtype, [1, 40], new Float64Array(40).fill(1).fill(NaN, 17, 18));
    const losses = memory.output("f32", [1]);
    native.crossEntropy(losses, logits, memory.input("i32", [1, 1], [3]), memory.input("f32", [1], [1]), true);
    expect([...(await values(losses))]).toEqual([NaN]);
    expect((await values(logits)).some(Number.isNaN)).toBe(true);
    await memory.verify();
  });

  it("gives the same bits again", () => {
    const p = cases(backend, [{ rows: 123, v: 997, k: 4 }], [{ rows: 7, v: 97, k: 4 }])[0]!;
    return expectSameBits(backend, (memory) => Object.values(enqueue(memory, p, dtype, labelsOf(p), true)));
  });
});
