import { describe, expect, it } from "@jest/globals";
import { native, type Tensor } from "../../lib/native.js";
import { type ComputeDType, cases, grid, open } from "../support/backends.js";
import { expectClose, expectSameBits } from "../support/closeness.js";
import { Memory, type MemoryOptions, values } from "../support/memory.js";
import { normals, rounding } from "../support/numbers.js";
import { matmul } from "../support/reference.js";

interface Product {
  m: number;
  n: number;
  k: number;
  transposeA: boolean;
  transposeB: boolean;
  accumulate: boolean;
  out: ComputeDType;
}

function operands(p: Product, dtype: ComputeDType): { a: Float64Array; b: Float64Array; c: Float64Array } {
  return { a: normals(p.m * p.k, 1, dtype), b: normals(p.k * p.n, 2, dtype), c: normals(p.m * p.n, 3, p.out) };
}

function enqueue(memory: Memory, p: Product, dtype: ComputeDType): Tensor {
  const { a, b, c } = operands(p, dtype);
  const out = p.accumulate ? memory.inout(p.out, [p.m, p.n], c) : memory.output(p.out, [p.m, p.n]);
  native.matmul(
    out,
    memory.input(dtype, p.transposeA ? [p.k, p.m] : [p.m, p.k], a),
    memory.input(dtype, p.transposeB ? [p.n, p.k] : [p.k, p.n], b),
    p.transposeA,
    p.transposeB,
    p.accumulate,
  );
  return out;
}

describe.each(grid)("matmul on $backend in $dtype", ({ backend, dtype }) => {
  const shapes = cases<readonly [number, number, number]>(
    backend,
    [
      [1, 1, 1],
      [1, 997, 40],
      [3, 31, 123],
      [31, 40, 997],
      [123, 96, 40],
      [64, 128, 96],
      [997, 3, 1],
      [1, 1, 123],
    ],
    [
      [1, 1, 1],
      [1, 97, 40],
      [3, 31, 23],
      [31, 40, 37],
      [17, 3, 1],
    ],
  );
  // On the CPU, b is put into blocks from 256 rows on where its columns fill them, from 1024 on where not.
  const blocked = cases<readonly [number, number, number]>(
    backend,
    [
      [256, 128, 70],
      [1030, 72, 33],
    ],
    [],
  );
  const outs = dtype === "bf16" ? (["bf16", "f32"] as const) : (["f32"] as const);
  const flags = [false, true].flatMap((transposeA) =>
    [false, true].flatMap((transposeB) =>
      [false, true].flatMap((accumulate) => outs.map((out) => ({ transposeA, transposeB, accumulate, out }))),
    ),
  );

  async function check(p: Product, options: MemoryOptions): Promise<void> {
    const { a, b, c } = operands(p, dtype);
    const memory = new Memory(open(backend), options);
    const got = await values(enqueue(memory, p, dtype));
    const exact = matmul(a, b, p.m, p.n, p.k, p.transposeA, p.transposeB, p.accumulate ? c : undefined);
    expectClose(got, exact, exact.map(rounding[p.out]));
    await memory.verify();
  }

  describe.each([...shapes, ...blocked])("[%i, %i] over %i", (m, n, k) => {
    it.each(flags)("transposeA $transposeA, transposeB $transposeB, accumulate $accumulate, to $out", (flag) =>
      check({ m, n, k, ...flag }, {}),
    );
  });

  it("takes tensors at any element", () =>
    check({ m: 31, n: 40, k: 37, transposeA: false, transposeB: true, accumulate: false, out: dtype }, { guard: 61 }));

  it("reads rows of a larger matrix", async () => {
    const memory = new Memory(open(backend));
    const [a, b] = [normals(7 * 33, 4, dtype), normals(33 * 5, 5, dtype)];
    const out = memory.output(dtype, [3, 5]);
    const rows = memory.input(dtype, [7, 33], a).narrow(0, 2, 3);
    native.matmul(out, rows, memory.input(dtype, [33, 5], b), false, false, false);
    const exact = matmul(a.slice(2 * 33), b, 3, 5, 33);
    expectClose(await values(out), exact, exact.map(rounding[dtype]));
    await memory.verify();
  });

  it("carries NaN and infinities through", async () => {
    const memory = new Memory(open(backend));
    const out = memory.output(dtype, [2, 2]);
    native.matmul(
      out,
      memory.input(dtype, [2, 2], [NaN, 1, Infinity, 1]),
      memory.input(dtype, [2, 2], [1, 1, 1, 1]),
      false,
      false,
      false,
    );
    expect([...(await values(out))]).toEqual([NaN, NaN, Infinity, Infinity]);
    await memory.verify();
  });

  // Sums so long that they may be split between blocks: every part must be counted once, the last, uneven one too.
  it.each([4097, 8200, 33000])("counts every one of %i products of ones", async (k) => {
    const [m, n] = cases<readonly [number, number]>(backend, [[128, 192]], [[8, 16]])[0]!;
    const memory = new Memory(open(backend));
    const ones = (rows: number, cols: number) =>
      memory.input(dtype, [rows, cols], new Float64Array(rows * cols).fill(1));
    const forward = memory.output("f32", [m, n]);
    native.matmul(forward, ones(m, k), ones(n, k), false, true, false);
    const weightGradient = memory.output("f32", [m, n]);
    native.matmul(weightGradient, ones(k, m), ones(k, n), true, false, false);
    for (const out of [forward, weightGradient]) expect(new Set(await values(out))).toEqual(new Set([k]));
    await memory.verify();
  });

  // The library that multiplies may cut a product differently for another number of threads.
  it.each(flags)(
    "gives the same bits again: transposeA $transposeA, transposeB $transposeB, $accumulate, to $out",
    (flag) => {
      const [m, n, k] = cases<readonly [number, number, number]>(backend, [[123, 96, 997]], [[17, 24, 37]])[0]!;
      return expectSameBits(backend, (memory) => [enqueue(memory, { m, n, k, ...flag }, dtype)], false);
    },
  );
});
