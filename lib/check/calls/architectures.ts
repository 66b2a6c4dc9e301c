/** The layers that some architectures have and others do not: norms of queries and keys, biases, norms behind a branch. */
import { native } from "../../native.js";
import { rounded, sumOf } from "../tolerance.js";
import { type Call, type ComputeDType, computeDTypes, type Size } from "./call.js";

const epsilon = 1e-5;

export function architectureCalls(size: Size): Call[] {
  const rows = [[7, 33], [31, 520], ...(size === "small" ? [] : [[1030, 1152]])] as const;
  // A head's norm on parts of a warp of every size, and rows of all heads.
  const heads = [16, 80, 128, 256].map((D) => ({ B: 2, T: 19, H: 3, D, across: false }));
  const normed = [...heads, { B: 2, T: 7, H: 5, D: 64, across: true }, { B: 1, T: 5, H: 40, D: 128, across: true }];
  return computeDTypes.flatMap((dt) => [
    ...rows.flatMap(([N, C]) => [residualNorm(dt, N!, C!), biasForward(dt, N!, C!), biasBackward(dt, N!, C!)]),
    ...normed.flatMap((shape) => [qkNormForward(dt, shape), qkNormBackward(dt, shape)]),
  ]);
}

function residualNorm(dt: ComputeDType, N: number, C: number): Call {
  return {
    operation: "rmsNormResidualForward",
    dtype: dt,
    shape: { N, C },
    run(memory) {
      const [x, weight] = [memory.random(dt, [N, C], -5, 5), memory.random(dt, [C])];
      const stream = memory.random(dt, [N, C]);
      const [out, rstd] = [memory.output("out", dt, [N, C], sumOf(2)), memory.output("rstd", "f32", [N], rounded)];
      native.rmsNormResidualForward(out, rstd, stream, x, weight, epsilon, 1);
    },
  };
}

function biasForward(dt: ComputeDType, N: number, C: number): Call {
  return {
    operation: "biasForward",
    dtype: dt,
    shape: { N, C },
    run(memory) {
      native.biasForward(memory.changed("x", dt, [N, C], sumOf(2)), memory.random(dt, [C]));
    },
  };
}

function biasBackward(dt: ComputeDType, N: number, C: number): Call {
  return {
    operation: "biasBackward",
    dtype: dt,
    shape: { N, C },
    run(memory) {
      const dbias = memory.changed("dbias", "f32", [C], sumOf(N));
      const workspace = memory.workspace("f32", native.biasBackwardWorkspace(memory.device, N, C));
      native.biasBackward(dbias, memory.random(dt, [N, C]), workspace);
    },
  };
}

interface NormShape {
  readonly B: number;
  readonly T: number;
  readonly H: number;
  readonly D: number;
  /** Whether all heads of a position are one row. */
  readonly across: boolean;
}

/** What both directions have in common: heads of a wider tensor, as the model has them. */
function shapeOf({ B, T, H, D, across }: NormShape) {
  const shape = { B, T, H, D, ...(across && { norm: "over all heads" }) };
  return { shape, weights: across ? H * D : D, rstd: [B, T, across ? 1 : H], heads: [B, T, H, D] };
}

function qkNormForward(dt: ComputeDType, sizes: NormShape): Call {
  const { B, T, H, D } = sizes;
  const { shape, weights, rstd, heads } = shapeOf(sizes);
  const offset = 3;
  return {
    operation: "qkNormForward",
    dtype: dt,
    shape,
    run(memory) {
      const x = memory.random(dt, [B, T, H + 2, D]).narrow(2, 1, H);
      const table = memory.random("f32", [T + offset, D / 2, 2]);
      const out = memory.output("out", dt, heads, sumOf(2));
      const scales = memory.output("rstd", "f32", rstd, rounded);
      native.qkNormForward(out, scales, x, memory.random(dt, [weights]), table, offset, epsilon, 0);
    },
  };
}

function qkNormBackward(dt: ComputeDType, sizes: NormShape): Call {
  const { B, T, H, D } = sizes;
  const { shape, weights, rstd, heads } = shapeOf(sizes);
  return {
    operation: "qkNormBackward",
    dtype: dt,
    shape,
    async run(memory) {
      const [x, weight] = [memory.random(dt, heads), memory.random(dt, [weights])];
      const scales = memory
        .workspace(
          "f32",
          rstd.reduce((a, b) => a * b),
        )
        .reshape(rstd);
      const normed = memory.workspace(dt, B * T * H * D).reshape(heads);
      native.qkNormForward(normed, scales, x, weight, null, 0, epsilon, 0);
      await memory.alike(scales);
      const dx = memory.output("dx", dt, heads, sumOf(2));
      const dweight = memory.changed("dweight", "f32", [weights], sumOf((B * T * H * D) / weights));
      const workspace = memory.workspace("f32", native.qkNormBackwardWorkspace(memory.device, B * T, H, D));
      native.qkNormBackward(dx, dweight, memory.random(dt, heads), x, scales, weight, workspace, 0);
    },
  };
}
