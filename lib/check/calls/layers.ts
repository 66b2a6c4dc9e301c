/** The layers of the model: patch embedding, RMSNorm, rotary embedding, attention, gated units. */
import { limits } from "../../limits.js";
import { native, type Tensor } from "../../native.js";
import type { CallMemory } from "../memory.js";
import { rounded, sumOf } from "../tolerance.js";
import { type Call, type ComputeDType, computeDTypes, type Size } from "./call.js";

const epsilon = 1e-5;
/** Of embeddings. */
const scale = 1.5;

export function layerCalls(size: Size): Call[] {
  const small = size === "small";
  const embeddings = small
    ? [
        { N: 13, K: 3, C: 33, V: 5 },
        { N: 700, K: 2, C: 48, V: 600 },
      ]
    : [
        { N: 123, K: 1, C: 264, V: 997 },
        { N: 123, K: 4, C: 33, V: 3 },
        { N: 700, K: 2, C: 48, V: 600 },
        { N: 1030, K: 4, C: 264, V: 2100 },
      ];
  // Rows of every width that a GPU has a kernel for.
  const norms = [
    [1, 32],
    [31, 33],
    [19, 520],
    [5, 1544],
    [2, 2056],
    [2, 12_296],
    ...(small ? [] : [[123, 1024] as const]),
  ] as const;
  const activations = small
    ? [[7, 33] as const, [3, 40] as const]
    : ([
        [31, 33],
        [257, 2736],
      ] as const);
  return computeDTypes.flatMap((dt) => [
    ...embeddings.flatMap((shape) => [embeddingForward(dt, shape), embeddingBackward(dt, shape)]),
    ...norms.flatMap(([N, C]) => [
      normForward(dt, N, C, true),
      normForward(dt, N, C, false),
      normBackward(dt, N, C, true),
      normBackward(dt, N, C, false),
    ]),
    ...limits.headDims.flatMap((D) => [rotary(dt, D, false), rotary(dt, D, true)]),
    ...attentions(size).flatMap((shape) => [attentionForward(dt, shape), ...attentionBackwards(dt, shape)]),
    ...activations.flatMap(([N, I]) =>
      (["swiglu", "geglu"] as const).flatMap((unit) => [gluForward(unit, dt, N, I), gluBackward(unit, dt, N, I)]),
    ),
  ]);
}

interface EmbeddingShape {
  readonly N: number;
  readonly K: number;
  readonly C: number;
  readonly V: number;
}

function embeddingForward(dt: ComputeDType, shape: EmbeddingShape): Call {
  const { N, K, C, V } = shape;
  return {
    operation: "patchEmbeddingForward",
    dtype: dt,
    shape: { ...shape },
    run(memory) {
      const [tokens, table] = [memory.ids([N * K], V), memory.random(dt, [V, C])];
      native.patchEmbeddingForward(memory.output("out", dt, [N, C], sumOf(K)), tokens, table, scale);
    },
  };
}

function embeddingBackward(dt: ComputeDType, shape: EmbeddingShape): Call {
  const { N, K, C, V } = shape;
  return {
    operation: "patchEmbeddingBackward",
    dtype: dt,
    shape: { ...shape },
    run(memory) {
      const [tokens, dout] = [memory.ids([N * K], V), memory.random(dt, [N, C])];
      const dtable = memory.changed("dtable", "f32", [V, C], sumOf(1 + (N * K) / V));
      const workspace = memory.workspace("i32", native.patchEmbeddingBackwardWorkspace(memory.device, N * K, V));
      native.patchEmbeddingBackward(dtable, dout, tokens, workspace, scale);
    },
  };
}

function normForward(dt: ComputeDType, N: number, C: number, residual: boolean): Call {
  return {
    operation: "rmsNormForward",
    dtype: dt,
    shape: { N, C, ...(residual && { input: "x + add" }) },
    run(memory) {
      const x = memory.random(dt, [N, C], -5, 5);
      const weight = memory.random(dt, [C]);
      const [out, rstd] = [memory.output("out", dt, [N, C], rounded), memory.output("rstd", "f32", [N], rounded)];
      const add = residual ? memory.random(dt, [N, C]) : null;
      const sum = residual ? memory.output("sum", dt, [N, C], "equal") : null;
      native.rmsNormForward(out, sum, rstd, x, add, weight, epsilon, 0);
    },
  };
}

function normBackward(dt: ComputeDType, N: number, C: number, accumulate: boolean): Call {
  return {
    operation: "rmsNormBackward",
    dtype: dt,
    shape: { N, C, ...(accumulate && { to: "added" }) },
    async run(memory) {
      const [dout, sum, weight] = [memory.random(dt, [N, C]), memory.random(dt, [N, C]), memory.random(dt, [C])];
      const rstd = memory.workspace("f32", N);
      native.rmsNormForward(memory.workspace(dt, N * C).reshape([N, C]), null, rstd, sum, null, weight, epsilon, 0);
      await memory.alike(rstd);
      const dx = accumulate ? memory.changed("dx", dt, [N, C], sumOf(2)) : memory.output("dx", dt, [N, C], sumOf(2));
      const dweight = memory.changed("dweight", "f32", [C], sumOf(N));
      const workspace = memory.workspace("f32", native.rmsNormBackwardWorkspace(memory.device, N, C));
      native.rmsNormBackward(dx, dweight, dout, sum, rstd, weight, workspace, accumulate, 0);
    },
  };
}

function rotary(dt: ComputeDType, D: number, inverse: boolean): Call {
  const [B, T, H, offset] = [2, 31, 3, 4];
  return {
    operation: "rotary",
    dtype: dt,
    shape: { B, T, H, D, offset, ...(inverse && { direction: "inverse" }) },
    run(memory) {
      // Heads of a larger tensor, as the model has them; the others must stay as they are.
      const fused = memory.changed("x", dt, [B, T, H + 2, D], sumOf(2));
      native.rotary(fused.narrow(2, 1, H), memory.random("f32", [T + offset, D / 2, 2]), offset, inverse);
    },
  };
}

interface AttentionShape {
  readonly B: number;
  readonly Tq: number;
  readonly Tk: number;
  readonly H: number;
  readonly G: number;
  readonly D: number;
  readonly window: number;
}

/**
 * Every head dimension; then queries before the first key, a decoding step, a sequence of many tiles, and windows that
 * leave out tiles and parts of them.
 */
function attentions(size: Size): AttentionShape[] {
  const square = (T: number, D: number, window = 0) => ({ B: 1, Tq: T, Tk: T, H: 2, G: 1, D, window });
  if (size === "small") {
    return [
      ...limits.headDims.map((D) => square(D === 64 ? 121 : 19, D)),
      { B: 1, Tq: 131, Tk: 67, H: 1, G: 1, D: 32, window: 0 },
      { B: 2, Tq: 1, Tk: 203, H: 2, G: 1, D: 64, window: 0 },
      square(131, 64, 7),
    ];
  }
  return [
    ...limits.headDims.flatMap((D) => [square(19, D), { B: 2, Tq: 203, Tk: 203, H: 6, G: 2, D, window: 0 }]),
    ...[64, 128].map((D) => ({ B: 1, Tq: 131, Tk: 67, H: 2, G: 2, D, window: 0 })),
    ...[64, 128].map((D) => ({ B: 2, Tq: 1, Tk: 1025, H: 4, G: 2, D, window: 0 })),
    square(1025, 64),
    ...limits.headDims.map((D, i) => ({ B: 1, Tq: 203, Tk: 459, H: 4, G: 2, D, window: [7, 64, 65, 131][i % 4]! })),
  ];
}

/** q, k and v: heads of one tensor, as the model has them, if there are as many queries as keys. */
function heads(shape: AttentionShape, make: (name: string, shape: readonly number[]) => Tensor): Tensor[] {
  const { B, Tq, Tk, H, G, D } = shape;
  if (Tq !== Tk) return [make("q", [B, Tq, H, D]), make("k", [B, Tk, G, D]), make("v", [B, Tk, G, D])];
  const fused = make("qkv", [B, Tk, H + 2 * G, D]);
  return [fused.narrow(2, 0, H), fused.narrow(2, H, G), fused.narrow(2, H + G, G)];
}

function attend(dt: ComputeDType, shape: AttentionShape, memory: CallMemory) {
  const { B, Tq, Tk, H, D, window } = shape;
  const [q, k, v] = heads(shape, (_, size) => memory.random(dt, size)) as [Tensor, Tensor, Tensor];
  const out = memory.output("out", dt, [B, Tq, H, D], sumOf(Tk, { factors: true }));
  const lse = memory.output("lse", "f32", [B, H, Tq], sumOf(D));
  const scale = 1 / Math.sqrt(D);
  native.attentionForward(out, lse, q, k, v, scale, window);
  return { q, k, v, out, lse, scale };
}

function attentionForward(dt: ComputeDType, shape: AttentionShape): Call {
  return {
    operation: "attentionForward",
    dtype: dt,
    shape: { ...shape },
    run: (memory) => void attend(dt, shape, memory),
  };
}

/** With and without the rotation back, which needs a key for each query. */
function attentionBackwards(dt: ComputeDType, shape: AttentionShape): Call[] {
  const plain = attentionBackward(dt, shape, false);
  return shape.Tq <= shape.Tk ? [plain, attentionBackward(dt, shape, true)] : [plain];
}

function attentionBackward(dt: ComputeDType, shape: AttentionShape, turnBack: boolean): Call {
  const { B, Tq, Tk, H, G, D, window } = shape;
  return {
    operation: "attentionBackward",
    dtype: dt,
    shape: { ...shape, ...(turnBack && { rotary: "inverse" }) },
    async run(memory) {
      const { q, k, v, out, lse, scale } = attend(dt, shape, memory);
      await memory.alike(out, lse);
      const tolerance = sumOf(Math.max(Tq, Tk), { factors: true });
      const [dq, dk, dv] = heads(shape, (name, size) => memory.output(`d${name}`, dt, size, tolerance));
      const dout = memory.random(dt, [B, Tq, H, D]);
      const elements = native.attentionBackwardWorkspace(memory.device, B, Tq, Tk, H, G, D);
      const workspace = memory.workspace("f32", elements);
      const turns = turnBack ? await turnsOf(memory, Tk, D) : null;
      native.attentionBackward(dq!, dk!, dv!, dout, q, k, v, out, lse, workspace, turns, scale, window);
    },
  };
}

/** cos and sin of angles up to T, the same on every device. */
async function turnsOf(memory: CallMemory, T: number, D: number): Promise<Tensor> {
  const table = memory.workspace("f32", T * D).reshape([T, D / 2, 2]);
  native.rotaryTable(table, memory.values(Array.from({ length: D / 2 }, (_, i) => 1 / (i + 1))), 1);
  await memory.alike(table);
  return table;
}

function gluForward(unit: "swiglu" | "geglu", dt: ComputeDType, N: number, I: number): Call {
  const operation = `${unit}Forward` as const;
  return {
    operation,
    dtype: dt,
    shape: { N, I },
    run(memory) {
      const gateUp = memory.random(dt, [N, 2 * I], -5, 5);
      native[operation](memory.output("out", dt, [N, I], rounded), gateUp);
    },
  };
}

function gluBackward(unit: "swiglu" | "geglu", dt: ComputeDType, N: number, I: number): Call {
  const operation = `${unit}Backward` as const;
  return {
    operation,
    dtype: dt,
    shape: { N, I },
    run(memory) {
      const [gateUp, dout] = [memory.random(dt, [N, 2 * I], -5, 5), memory.random(dt, [N, I])];
      native[operation](memory.output("dgateUp", dt, [N, 2 * I], rounded), dout, gateUp);
    },
  };
}
