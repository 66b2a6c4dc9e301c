import { describe, it } from "@jest/globals";
import { native, type Tensor } from "../../lib/native.js";
import { type ComputeDType, cases, grid, open } from "../support/backends.js";
import { expectClose, expectSameBits } from "../support/closeness.js";
import { Memory, type MemoryOptions, values } from "../support/memory.js";
import { normals, rounding } from "../support/numbers.js";
import { matmul } from "../support/reference.js";

interface Product {
  count: number;
  m: number;
  n: number;
  k: number;
  transposeA: boolean;
  transposeB: boolean;
  /** With something added, or the product alone. */
  adds: boolean;
}

const [alpha, beta] = [2.0315, -4.775];

function operands(p: Product, dtype: ComputeDType): Record<"a" | "b" | "add", Float64Array> {
  const { count, m, n, k } = p;
  return {
    a: normals(count * m * k, 1, dtype),
    b: normals(count * k * n, 2, dtype),
    add: normals(count * m * n, 3, dtype),
  };
}

function enqueue(memory: Memory, p: Product, dtype: ComputeDType): Tensor {
  const { count, m, n, k, transposeA, transposeB } = p;
  const { a, b, add } = operands(p, dtype);
  const out = memory.output(dtype, [count, m, n]);
  native.batchedMatmul(
    out,
    memory.input(dtype, transposeA ? [count, k, m] : [count, m, k], a),
    memory.input(dtype, transposeB ? [count, n, k] : [count, k, n], b),
    p.adds ? memory.input(dtype, [count, m, n], add) : null,
    transposeA,
    transposeB,
    alpha,
    beta,
  );
  return out;
}

/** Summed in float64: each matrix of the stack by itself. */
function expected(p: Product, dtype: ComputeDType): Float64Array {
  const { count, m, n, k } = p;
  const { a, b, add } = operands(p, dtype);
  const result = new Float64Array(count * m * n);
  for (let i = 0; i < count; i++) {
    const part = (values: Float64Array, size: number) => values.subarray(i * size, (i + 1) * size);
    const product = matmul(part(a, m * k), part(b, k * n), m, n, k, p.transposeA, p.transposeB);
    product.forEach((sum, at) => {
      result[i * m * n + at] = alpha * sum + (p.adds ? beta * add[i * m * n + at]! : 0);
    });
  }
  return result;
}

describe.each(grid)("batchedMatmul on $backend in $dtype", ({ backend, dtype }) => {
  const shapes = cases<readonly [number, number, number, number]>(
    backend,
    [
      [1, 1, 1, 1],
      [3, 31, 123, 40],
      [5, 64, 64, 96],
      [2, 1, 17, 9],
      [2, 300, 64, 33], // on the CPU, b is put into blocks
    ],
    [
      [1, 1, 1, 1],
      [3, 31, 23, 7],
      [2, 16, 16, 24],
    ],
  );
  const flags = [false, true].flatMap((transposeA) =>
    [false, true].flatMap((transposeB) => [false, true].map((adds) => ({ transposeA, transposeB, adds }))),
  );

  async function check(p: Product, options: MemoryOptions): Promise<void> {
    const memory = new Memory(open(backend), options);
    const got = await values(enqueue(memory, p, dtype));
    const exact = expected(p, dtype);
    expectClose(got, exact, exact.map(rounding[dtype]));
    await memory.verify();
  }

  describe.each(shapes)("%i of [%i, %i] over %i", (count, m, n, k) => {
    it.each(flags)("transposeA $transposeA, transposeB $transposeB, adds $adds", (flag) =>
      check({ count, m, n, k, ...flag }, {}),
    );
  });

  const small: Product = { count: 3, m: 19, n: 21, k: 19, transposeA: false, transposeB: false, adds: true };

  it("takes tensors at any element", () => check({ ...small, transposeB: true }, { guard: 61 }));

  it("adds an operand", async () => {
    const memory = new Memory(open(backend));
    const matrices = normals(2 * 9 * 9, 4, dtype);
    const operand = memory.input(dtype, [2, 9, 9], matrices);
    const out = memory.output(dtype, [2, 9, 9]);
    native.batchedMatmul(out, operand, operand, operand, false, true, 1, 0.5);
    const exact = [0, 1].flatMap((i) => {
      const x = matrices.subarray(i * 81, (i + 1) * 81);
      return [...matmul(x, x, 9, 9, 9, false, true)].map((sum, at) => sum + 0.5 * x[at]!);
    });
    expectClose(await values(out), exact, exact.map(rounding[dtype]));
    await memory.verify();
  });

  it("gives the same bits again", () => expectSameBits(backend, (memory) => [enqueue(memory, small, dtype)], false));
});
