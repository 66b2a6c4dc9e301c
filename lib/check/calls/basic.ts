/** Filling, copying, random numbers, what is not finite, matrix products and sums. */
import { type DType, native, type Tensor } from "../../native.js";
import type { CallMemory } from "../memory.js";
import { rounded, sumOf } from "../tolerance.js";
import { type Call, type ComputeDType, computeDTypes, type Size } from "./call.js";

export function basicCalls(size: Size): Call[] {
  const dtypes: readonly DType[] = ["f32", "bf16", "i32"];
  return [
    ...dtypes.map((dtype) => fill(dtype, 40_003)),
    ...copies(),
    normal(10_001),
    ...[80, 128].map((D) => rotaryTable(size === "small" ? 33 : 513, D)),
    ...computeDTypes.flatMap((dt) => [...products(dt, size), ...batchedProducts(dt, size)]),
    ...computeDTypes.flatMap((dt) => searches(dt, size === "small" ? 4_097 : 1_000_003)),
    ...(["", "add"] as const).map((mode) => sum(size === "small" ? 4_097 : 100_003, mode)),
  ];
}

function fill(dtype: DType, n: number): Call {
  return {
    operation: "fill",
    dtype,
    shape: { n },
    run: (memory) => native.fill(memory.output("out", dtype, [n], "equal"), -2.7),
  };
}

function copies(): Call[] {
  const pairs = [
    ["f32", "f32"],
    ["f32", "bf16"],
    ["bf16", "f32"],
    ["bf16", "bf16"],
    ["i32", "i32"],
  ] as const;
  const input = (memory: CallMemory, dtype: DType, shape: readonly number[]) =>
    dtype === "i32" ? memory.ids(shape, 2 ** 30) : memory.random(dtype, shape);
  return pairs.flatMap(([to, from]): Call[] => [
    {
      operation: "copy",
      dtype: to,
      shape: { from, n: 18_500 },
      run(memory) {
        const source = input(memory, from, [500, 37]);
        native.copy(memory.output("out", to, [500, 37], "equal"), source);
      },
    },
    {
      operation: "copy",
      dtype: to,
      shape: { from, B: 2, T: 3, H: 2, D: 7, rows: "apart" },
      run(memory) {
        const inside = (x: Tensor, head: number, column: number) =>
          x.narrow(1, 1, 3).narrow(2, head, 2).narrow(3, column, 7);
        const source = input(memory, from, [2, 5, 3, 12]);
        const out = memory.output("out", to, [2, 5, 3, 12], "equal");
        native.fill(out, 5);
        native.copy(inside(out, 1, 2), inside(source, 0, 5));
      },
    },
  ]);
}

function normal(n: number): Call {
  return {
    operation: "normal",
    dtype: "f32",
    shape: { n },
    // Seed and offset are beyond 32 bits, and the first element is in the middle of a counter.
    run: (memory) => native.normal(memory.output("out", "f32", [n], rounded), 0.02, 2 ** 40 + 3, 2 ** 33 + 3),
  };
}

function rotaryTable(T: number, D: number): Call {
  return {
    operation: "rotaryTable",
    dtype: "f32",
    shape: { T, D },
    run(memory) {
      const frequencies = memory.values(Array.from({ length: D / 2 }, (_, i) => 10_000 ** ((-2 * i) / D)));
      // An angle of up to T, rounded to f32, is off by up to T units.
      const table = memory.output("table", "f32", [T, D / 2, 2], { f32: 16 + T, factors: false });
      native.rotaryTable(table, frequencies, 1.25);
    },
  };
}

/** Searches for the first NaN of n elements, of which the first, the last or none is one. */
function searches(dt: ComputeDType, n: number): Call[] {
  return (["first", "last", "none"] as const).map((at) => ({
    operation: "firstNonFinite",
    dtype: dt,
    shape: { n, NaN: at },
    run(memory) {
      const values = memory.workspace(dt, n);
      native.fill(values, 1);
      const one = values.narrow(0, at === "first" ? 0 : n - 1, 1);
      if (at !== "none") native.copy(one, memory.values([NaN]));
      native.firstNonFinite(memory.output("out", "i32", [1], "equal"), values);
    },
  }));
}

function products(dt: ComputeDType, size: Size): Call[] {
  const shapes: readonly (readonly [number, number, number])[] =
    size === "small"
      ? [
          [31, 40, 37],
          [1, 97, 40],
        ]
      : [
          [31, 40, 37],
          [1, 997, 128],
          [257, 384, 320],
          [123, 96, 1000],
          [64, 72, 8200],
          [768, 1024, 2048],
        ];
  return shapes.flatMap(([M, N, K]) => [
    product({ M, N, K }, "NT", dt, dt, false),
    product({ M, N, K }, "NN", dt, dt, true),
    product({ M, N, K }, "TN", dt, "f32", true),
    product({ M, N, K }, "TT", dt, dt, false),
  ]);
}

function product(
  { M, N, K }: { M: number; N: number; K: number },
  op: "NT" | "NN" | "TN" | "TT",
  dt: ComputeDType,
  to: ComputeDType,
  accumulate: boolean,
): Call {
  const [transposeA, transposeB] = [op[0] === "T", op[1] === "T"];
  return {
    operation: "matmul",
    dtype: dt,
    shape: { M, N, K, op, to: accumulate ? `added to ${to}` : to },
    run(memory) {
      const a = memory.random(dt, transposeA ? [K, M] : [M, K]);
      const b = memory.random(dt, transposeB ? [N, K] : [K, N]);
      // Some of cuBLASLt's algorithms round a product to bf16 before they add it to what is there (seen on an H200).
      const tolerance = sumOf(K, { factors: accumulate });
      const c = accumulate ? memory.changed("c", to, [M, N], tolerance) : memory.output("c", to, [M, N], tolerance);
      native.matmul(c, a, b, transposeA, transposeB, accumulate);
    },
  };
}

/** The three products of a step of Newton-Schulz, and one of two transposed operands. */
function batchedProducts(dt: ComputeDType, size: Size): Call[] {
  const [M, K] = size === "small" ? [31, 40] : [192, 328];
  return [
    batchedProduct({ M, N: M, K }, "NT", dt, false),
    batchedProduct({ M, N: M, K: M }, "NN", dt, true),
    batchedProduct({ M, N: K, K: M }, "NN", dt, true),
    batchedProduct({ M, N: K, K: 19 }, "TT", dt, true),
  ];
}

function batchedProduct(
  { M, N, K }: { M: number; N: number; K: number },
  op: "NT" | "NN" | "TT",
  dt: ComputeDType,
  adds: boolean,
): Call {
  const [transposeA, transposeB] = [op[0] === "T", op[1] === "T"];
  return {
    operation: "batchedMatmul",
    dtype: dt,
    shape: { L: 3, M, N, K, op, ...(adds && { add: "added" }) },
    run(memory) {
      const a = memory.random(dt, transposeA ? [3, K, M] : [3, M, K]);
      const b = memory.random(dt, transposeB ? [3, N, K] : [3, K, N]);
      const add = adds ? memory.random(dt, [3, M, N]) : null;
      // As with `matmul`: the product may be rounded before the sum.
      const c = memory.output("c", dt, [3, M, N], sumOf(K, { factors: adds }));
      native.batchedMatmul(c, a, b, add, transposeA, transposeB, 2.0315, -4.775);
    },
  };
}

function sum(n: number, mode: "" | "add"): Call {
  const add = mode === "add";
  return {
    operation: "sum",
    dtype: "f32",
    shape: { n, ...(add && { to: "added" }) },
    run(memory) {
      // Away from 0, so that the sum is as large as its terms.
      const values = memory.random("f32", [n], 0.5, 1.5);
      const out = add ? memory.changed("out", "f32", [1], rounded) : memory.output("out", "f32", [1], rounded);
      native.sum(out, values, add);
    },
  };
}
