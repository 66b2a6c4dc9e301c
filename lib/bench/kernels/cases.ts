/** A benchmark for each operation that a training step calls, on the tensors it calls it with. */
import { bytesOf } from "../../device.js";
import { limits } from "../../limits.js";
import { native, type Tensor } from "../../native.js";
import { architectureCases } from "./architecture_cases.js";
import type { ComputeDType, KernelCase } from "./case.js";
import { costs } from "./cost.js";
import { muonCases } from "./muon_cases.js";
import type { AttentionShape, BenchShapes, LayerShape } from "./shapes.js";
import type { RandomTensors } from "./tensors.js";

/** Tokens per patch: token-level training, and the paper's patch size. */
const patchSizes = [1, 4] as const;

export function kernelCases(shapes: BenchShapes, dt: ComputeDType): KernelCase[] {
  const cost = costs(bytesOf(dt));
  const N = shapes.B * shapes.T;
  const layers = [shapes.model, ...shapes.otherLayers];
  return [
    ...patchSizes.flatMap((K) => embeddingCases(N, K, shapes.model)),
    ...layers.flatMap((layer) => normCases(N, layer)),
    ...layers.map((layer) => rotaryCase(shapes.B, shapes.T, layer)),
    ...shapes.attention.flatMap(attentionCases),
    ...layers.flatMap((layer) => swigluCases(N, layer)),
    ...layers.flatMap((layer) => matmulCases(N, layer)),
    ...patchSizes.map((K) => crossEntropyCase(N, K, shapes.model)),
    ...architectureCases(shapes.B, shapes.T, shapes.model, dt),
    ...optimizerCases(shapes.parameters),
    ...muonCases(shapes.model, dt),
  ];

  function embeddingCases(N: number, K: number, { C, V }: LayerShape): KernelCase[] {
    const shape = { N, K, C, V };
    return [
      {
        name: "patch_embedding_forward",
        shape,
        cost: cost.patchEmbeddingForward(N, K, C, V),
        prepare(tensors) {
          const [tokens, table] = [tensors.ids([N * K], V), tensors.normal(dt, [V, C])];
          const out = tensors.empty(dt, [N, C]);
          return { call: () => native.patchEmbeddingForward(out, tokens, table, 1) };
        },
      },
      {
        name: "patch_embedding_backward",
        shape,
        cost: cost.patchEmbeddingBackward(N, K, C, V),
        prepare(tensors) {
          const [tokens, dout] = [tensors.ids([N * K], V), tensors.normal(dt, [N, C])];
          const dtable = tensors.normal("f32", [V, C]);
          const size = native.patchEmbeddingBackwardWorkspace(tensors.device, N * K, V);
          const workspace = tensors.empty("i32", [size]);
          return { call: () => native.patchEmbeddingBackward(dtable, dout, tokens, workspace, 1) };
        },
      },
    ];
  }

  function normCases(N: number, { C }: LayerShape): KernelCase[] {
    const shape = { N, C };
    const epsilon = 1e-5;
    return [
      {
        name: "rmsnorm_forward",
        shape,
        cost: cost.rmsNormForward(N, C),
        prepare(tensors) {
          const [x, add, weight] = [tensors.normal(dt, [N, C]), tensors.normal(dt, [N, C]), tensors.normal(dt, [C])];
          const [out, sum, rstd] = [tensors.empty(dt, [N, C]), tensors.empty(dt, [N, C]), tensors.empty("f32", [N])];
          return { call: () => native.rmsNormForward(out, sum, rstd, x, add, weight, epsilon, 0) };
        },
      },
      {
        name: "rmsnorm_backward",
        shape,
        cost: cost.rmsNormBackward(N, C),
        prepare(tensors) {
          const [sum, weight, dout] = [tensors.normal(dt, [N, C]), tensors.normal(dt, [C]), tensors.normal(dt, [N, C])];
          const [dx, dweight] = [tensors.normal(dt, [N, C]), tensors.normal("f32", [C])];
          const [rstd, out] = [tensors.empty("f32", [N]), tensors.empty(dt, [N, C])];
          const workspace = tensors.empty("f32", [native.rmsNormBackwardWorkspace(tensors.device, N, C)]);
          native.rmsNormForward(out, null, rstd, sum, null, weight, epsilon, 0);
          return { call: () => native.rmsNormBackward(dx, dweight, dout, sum, rstd, weight, workspace, true, 0) };
        },
      },
    ];
  }

  function rotaryCase(B: number, T: number, { H, G, D }: LayerShape): KernelCase {
    return {
      name: "rotary",
      shape: { B, T, H, G, D },
      cost: cost.rotary(B, T, H + G, D),
      prepare(tensors) {
        const { qk } = heads(tensors, { B, T, H, G, D });
        const frequencies = tensors.empty("f32", [D / 2]);
        frequencies.write(Float32Array.from({ length: D / 2 }, (_, i) => 10000 ** ((-2 * i) / D)));
        const table = tensors.empty("f32", [T, D / 2, 2]);
        native.rotaryTable(table, frequencies, 1);
        return { call: () => native.rotary(qk, table, 0, false) };
      },
    };
  }

  function attentionCases(shape: AttentionShape): KernelCase[] {
    const { B, T, H, G, D } = shape;
    const scale = 1 / Math.sqrt(D);
    const forward = (tensors: RandomTensors) => {
      const { q, k, v } = heads(tensors, shape);
      const [out, lse] = [tensors.empty(dt, [B, T, H, D]), tensors.empty("f32", [B, H, T])];
      return { q, k, v, out, lse, call: () => native.attentionForward(out, lse, q, k, v, scale, 0) };
    };
    return [
      { name: "attention_forward", shape: { ...shape }, cost: cost.attentionForward(B, T, H, G, D), prepare: forward },
      {
        name: "attention_backward",
        shape: { ...shape },
        cost: cost.attentionBackward(B, T, H, G, D),
        prepare(tensors) {
          const { q, k, v, out, lse, call } = forward(tensors);
          call();
          const { q: dq, k: dk, v: dv } = heads(tensors, shape);
          const dout = tensors.normal(dt, [B, T, H, D]);
          const size = native.attentionBackwardWorkspace(tensors.device, B, T, T, H, G, D);
          const workspace = tensors.empty("f32", [size]);
          const table = tensors.normal("f32", [T, D / 2, 2]);
          return {
            call: () => native.attentionBackward(dq, dk, dv, dout, q, k, v, out, lse, workspace, table, scale, 0),
          };
        },
      },
    ];
  }

  /** The heads of a fused projection, as the model's attention reads them. */
  function heads(tensors: RandomTensors, { B, T, H, G, D }: AttentionShape) {
    const fused = tensors.normal(dt, [B, T, H + 2 * G, D]);
    const part = (first: number, count: number) => tensors.view(fused.narrow(2, first, count));
    return { q: part(0, H), k: part(H, G), v: part(H + G, G), qk: part(0, H + G) };
  }

  function swigluCases(N: number, { I }: LayerShape): KernelCase[] {
    const shape = { N, I };
    return [
      {
        name: "swiglu_forward",
        shape,
        cost: cost.swigluForward(N, I),
        prepare(tensors) {
          const [gateUp, out] = [tensors.normal(dt, [N, 2 * I]), tensors.empty(dt, [N, I])];
          return { call: () => native.swigluForward(out, gateUp) };
        },
      },
      {
        name: "swiglu_backward",
        shape,
        cost: cost.swigluBackward(N, I),
        prepare(tensors) {
          const [gateUp, dout] = [tensors.normal(dt, [N, 2 * I]), tensors.normal(dt, [N, I])];
          const dgateUp = tensors.empty(dt, [N, 2 * I]);
          return { call: () => native.swigluBackward(dgateUp, dout, gateUp) };
        },
      },
    ];
  }

  /** For each weight: y = x W^T (NT), dx = dy W (NN), dW += dy^T x (TN). */
  function matmulCases(N: number, { C, I, H, G, D, V }: LayerShape): KernelCase[] {
    const weights = [
      [(H + 2 * G) * D, C],
      [C, H * D],
      [2 * I, C],
      [C, I],
      [V, C],
    ] as const;
    return weights.flatMap(([outputs, inputs]) => [
      matmulCase(N, outputs, inputs, "NT"),
      matmulCase(N, inputs, outputs, "NN"),
      matmulCase(outputs, inputs, N, "TN"),
    ]);
  }

  function matmulCase(M: number, N: number, K: number, op: "NT" | "NN" | "TN"): KernelCase {
    const [transposeA, transposeB] = [op[0] === "T", op[1] === "T"];
    const gradient = op === "TN"; // a weight's gradient: accumulated, in f32
    const result = gradient ? "f32" : dt;
    return {
      name: "matmul",
      shape: { M, N, K, op },
      cost: cost.matmul(M, N, K, { bytes: bytesOf(result), accumulate: gradient }),
      prepare(tensors) {
        const a = tensors.normal(dt, transposeA ? [K, M] : [M, K]);
        const b = tensors.normal(dt, transposeB ? [N, K] : [K, N]);
        const c: Tensor = gradient ? tensors.normal("f32", [M, N]) : tensors.empty(dt, [M, N]);
        return { call: () => native.matmul(c, a, b, transposeA, transposeB, gradient) };
      },
    };
  }

  function crossEntropyCase(R: number, K: number, { V }: LayerShape): KernelCase {
    return {
      name: "cross_entropy",
      shape: { R, K, V },
      cost: cost.crossEntropy(R, K, V),
      prepare(tensors) {
        const [source, labels] = [tensors.normal(dt, [R, V]), tensors.ids([R, K], V)];
        const coefficients = tensors.filled("f32", [K], 1 / (R * K));
        const [logits, losses] = [tensors.empty(dt, [R, V]), tensors.empty("f32", [R])];
        return {
          call: () => native.crossEntropy(losses, logits, labels, coefficients, true),
          restore: () => native.copy(logits, source),
        };
      },
    };
  }

  function optimizerCases(n: number): KernelCase[] {
    return [
      {
        name: "grad_norm",
        shape: { n },
        cost: cost.gradNorm(n),
        prepare(tensors) {
          const [grad, norm] = [tensors.normal("f32", [n]), tensors.empty("f32", [1])];
          const workspace = tensors.empty("f32", [native.gradNormWorkspace(tensors.device, n)]);
          return { call: () => native.gradNorm(norm, grad, workspace) };
        },
      },
      {
        name: "adamw",
        shape: { n },
        cost: cost.adamw(n),
        prepare(tensors) {
          const [master, grad] = [tensors.normal("f32", [n], 0.02), tensors.normal("f32", [n], 1e-3)];
          const param = dt === "f32" ? master : tensors.empty(dt, [n]);
          // Zero as at the start of training; the warm-up calls fill them from the gradients.
          const [m, v] = [tensors.filled("f32", [n], 0), tensors.filled("f32", [n], 0)];
          const norm = tensors.filled("f32", [1], 1);
          const hyper = tensors.empty("f32", [limits.adamwHyperSize]);
          hyper.write(Float32Array.of(3e-4, 0.9, 0.95, 1e-8, 0.1, 0, 0, 1)); // as AdamWHyper in kernels.h
          const [steps, corrections] = [tensors.filled("i32", [1], 0), tensors.empty("f32", [2])];
          return { call: () => native.adamw(param, master, m, v, steps, corrections, grad, norm, hyper, n) };
        },
      },
      {
        name: "fill",
        shape: { n },
        cost: cost.fill(n),
        prepare(tensors) {
          const out = tensors.empty("f32", [n]);
          return { call: () => native.fill(out, 0) };
        },
      },
      {
        name: "copy",
        shape: { n },
        cost: cost.copy(n),
        prepare(tensors) {
          const [source, out] = [tensors.normal("f32", [n]), tensors.empty(dt, [n])];
          return { call: () => native.copy(out, source) };
        },
      },
    ];
  }
}
