/** Labels and loss, the optimizer, sampling. */
import { native } from "../../native.js";
import { rounded, sumOf } from "../tolerance.js";
import { type Call, type ComputeDType, computeDTypes, type Size } from "./call.js";

/** A label that does not count. */
const ignored = -100;

export function trainingCalls(size: Size): Call[] {
  const small = size === "small";
  // Rows as long as a GPU's block keeps in registers, and longer than its shared memory has room for.
  const losses = [
    { R: small ? 5 : 123, K: 3, V: 97 },
    { R: 4, K: 33, V: 7 },
    { R: 2, K: 4, V: 9_001 },
    { R: 1, K: 4, V: 17_001 },
    { R: 1, K: 4, V: 150_001 },
  ];
  const parameters = small ? 523 : 100_003;
  return [
    patchLabels(2, 123, 3),
    labelCoefficients(123, 8),
    gradNorm(small ? 4_097 : 1_100_003),
    ...[1, 3].flatMap((loss) => [1, 3].map((limit) => guardNorm(loss, limit))),
    ...computeDTypes.flatMap((dt) => [
      ...losses.flatMap((shape) => [crossEntropy(dt, shape, false), crossEntropy(dt, shape, true)]),
      adamw(dt, parameters),
      ...[parameters, 4 * 131].flatMap((elements) => [muonMomentum(dt, elements), muonUpdate(dt, elements)]),
      ...draws(dt, small ? 2 : 64),
    ]),
  ];
}

function patchLabels(B: number, T: number, K: number): Call {
  return {
    operation: "patchLabels",
    dtype: "i32",
    shape: { B, T, K },
    run: (memory) =>
      native.patchLabels(memory.output("labels", "i32", [B * T, K], "equal"), memory.ids([B * T * K], 997), T),
  };
}

function labelCoefficients(N: number, K: number): Call {
  return {
    operation: "labelCoefficients",
    dtype: "f32",
    shape: { N, K },
    run(memory) {
      const coefficients = memory.output("coefficients", "f32", [K], rounded);
      native.labelCoefficients(coefficients, memory.ids([N, K], 12, ignored), memory.random("f32", [K]));
    },
  };
}

function crossEntropy(dt: ComputeDType, { R, K, V }: { R: number; K: number; V: number }, gradient: boolean): Call {
  return {
    operation: "crossEntropy",
    dtype: dt,
    shape: { R, K, V, ...(gradient && { logits: "to their gradient" }) },
    run(memory) {
      const range = [-5, 5] as const;
      const logits = gradient
        ? memory.changed("logits", dt, [R, V], rounded, range)
        : memory.random(dt, [R, V], ...range);
      const losses = memory.output("losses", "f32", [R], sumOf(K));
      const coefficients = memory.random("f32", [K], 0.5, 1.5);
      native.crossEntropy(losses, logits, memory.ids([R, K], V, ignored), coefficients, gradient);
    },
  };
}

function gradNorm(n: number): Call {
  return {
    operation: "gradNorm",
    dtype: "f32",
    shape: { n },
    run(memory) {
      const workspace = memory.workspace("f32", native.gradNormWorkspace(memory.device, n));
      native.gradNorm(memory.output("norm", "f32", [1], rounded), memory.random("f32", [n]), workspace);
    },
  };
}

/** A norm of 2, whose limit is `limit`, and a loss whose limit is 2. */
function guardNorm(loss: number, limit: number): Call {
  return {
    operation: "guardNorm",
    dtype: "f32",
    shape: { loss, limit },
    run(memory) {
      const measured = memory.output("measured", "f32", [1], "equal");
      const norm = memory.changed("norm", "f32", [1], "equal", [2, 2]);
      native.guardNorm(measured, norm, memory.values([loss]), memory.values([2, limit]));
    },
  };
}

function adamw(dt: ComputeDType, n: number): Call {
  return {
    operation: "adamw",
    dtype: dt,
    shape: { n },
    run(memory) {
      const master = memory.changed("master", "f32", [n], rounded);
      const param = dt === "f32" ? master : memory.output("param", dt, [n], rounded);
      const m = memory.changed("m", "f32", [n], rounded);
      const v = memory.changed("v", "f32", [n], rounded, [0.5, 1.5]);
      const steps = memory.counter("steps", 7);
      const corrections = memory.output("corrections", "f32", [2], "equal");
      const [grad, norm] = [memory.random("f32", [n]), memory.values([2])];
      // As AdamWHyper in kernels.h: the gradient is clipped, and the first elements only are decayed.
      const hyper = memory.values([0.01, 0.9, 0.95, 1e-8, 0.1, 0, 0, 1]);
      native.adamw(param, master, m, v, steps, corrections, grad, norm, hyper, 123);
    },
  };
}

/** As MuonHyper in kernels.h: the gradient is clipped. */
const muonHyper = [0.02, 0.95, 0.1, 1] as const;

/** Two matrices, with or without room for accesses of several elements. */
function muonMomentum(dt: ComputeDType, E: number): Call {
  return {
    operation: "muonMomentum",
    dtype: dt,
    shape: { L: 2, E },
    run(memory) {
      // It is rounded twice: to be normed, and behind that.
      const out = memory.output("out", dt, [2, E], sumOf(E, { factors: true }));
      const momentum = memory.changed("momentum", "f32", [2, E], rounded);
      const [grad, norm, hyper] = [memory.random("f32", [2, E]), memory.values([2]), memory.values([...muonHyper])];
      const workspace = memory.workspace("f32", native.muonMomentumWorkspace(memory.device, 2, E));
      native.muonMomentum(out, momentum, grad, norm, hyper, workspace, true);
    },
  };
}

function muonUpdate(dt: ComputeDType, E: number): Call {
  return {
    operation: "muonUpdate",
    dtype: dt,
    shape: { L: 2, E },
    run(memory) {
      const master = memory.changed("master", "f32", [2, E], rounded);
      const param = dt === "f32" ? master : memory.output("param", dt, [2, E], rounded);
      const [update, norm, hyper] = [memory.random(dt, [2, E]), memory.values([2]), memory.values([...muonHyper])];
      native.muonUpdate(param, master, update, norm, hyper, 1.5);
    },
  };
}

/** Draws compared id by id: one in some ten thousand lies where a rounding of the weights could change it. */
function draws(dt: ComputeDType, B: number): Call[] {
  const modes = [
    { temperature: 0, topK: 0, topP: 1, minP: 0, H: 0 },
    { temperature: 0.8, topK: 0, topP: 1, minP: 0, H: 0 },
    { temperature: 1, topK: 20, topP: 1, minP: 0, H: 0 },
    { temperature: 1, topK: 50, topP: 0.7, minP: 0.02, H: 0 },
    { temperature: 0, topK: 0, topP: 1, minP: 0, H: 9 },
    { temperature: 1, topK: 0, topP: 1, minP: 0.1, H: 200 },
  ];
  return modes.map(({ temperature, topK, topP, minP, H }) => ({
    operation: "sample",
    dtype: dt,
    shape: { B, V: 97, H, temperature, topK, topP, minP },
    run(memory) {
      const logits = memory.random(dt, [B, 97], -5, 5);
      const workspace = memory.workspace("f32", native.sampleWorkspace(memory.device, B, 97));
      const out = memory.output("out", "i32", [B], "equal");
      const history = H === 0 ? null : memory.ids([B, H], 97, -1);
      const streams = H === 0 ? null : memory.ids([B], 5);
      native.sample(out, logits, history, streams, workspace, 1.3, temperature, topK, topP, minP, 3, 2 ** 33);
    },
  }));
}
