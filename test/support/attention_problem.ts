import type { BackendName } from "../../lib/native.js";
import { native, type Tensor } from "../../lib/native.js";
import { type ComputeDType, cases } from "./backends.js";
import type { Memory } from "./memory.js";
import { normals, type Round, rounding } from "./numbers.js";
import { rotary, rotaryTable } from "./reference.js";
import { type AttentionShape, attention } from "./reference_attention.js";

export interface Problem extends AttentionShape {
  /** q, k and v are heads of one [batch, length, heads + 2 kvHeads, headDim] tensor; takes queries == keys. */
  fused: boolean;
  /** The backward also rotates dq and dk back. */
  rotary: boolean;
  guard: number;
  window: number;
}

function problem(
  batch: number,
  queries: number,
  keys: number,
  heads: number,
  kvHeads: number,
  headDim: number,
  options: Partial<Problem> = {},
): Problem {
  const rest = { fused: false, rotary: false, guard: 64, window: 0 };
  return { batch, queries, keys, heads, kvHeads, headDim, ...rest, ...options };
}

const all = [
  problem(1, 1, 1, 1, 1, 32),
  problem(2, 3, 3, 2, 1, 64),
  problem(1, 31, 31, 4, 2, 80),
  problem(2, 31, 31, 3, 3, 96),
  problem(1, 123, 123, 2, 1, 128),
  problem(1, 113, 203, 2, 1, 32),
  problem(1, 203, 113, 2, 2, 32),
  problem(1, 203, 113, 2, 1, 128),
  problem(2, 1, 203, 4, 2, 64),
  problem(1, 64, 64, 1, 1, 64),
  problem(1, 128, 128, 1, 1, 128),
  problem(1, 65, 129, 6, 2, 80),
  problem(1, 35, 65, 6, 1, 64), // 30 keys more: the mask hides only the last key of some tiles
  problem(2, 123, 123, 4, 2, 64, { fused: true }),
  problem(2, 31, 31, 3, 1, 80, { fused: true }),
  problem(1, 37, 37, 2, 1, 96, { guard: 61 }),
  problem(1, 9, 9, 2, 1, 32, { fused: true, guard: 61 }),
  problem(1, 131, 131, 2, 1, 48),
  problem(1, 129, 203, 4, 2, 16),
  problem(1, 37, 39, 2, 1, 16, { guard: 61 }),
  problem(1, 97, 131, 2, 1, 256),
  problem(1, 37, 39, 2, 1, 256, { guard: 61 }),
  problem(1, 383, 383, 1, 1, 64),
  problem(1, 385, 385, 1, 1, 32),
  problem(1, 1, 1025, 2, 1, 128),
  problem(2, 131, 131, 2, 1, 32, { rotary: true, fused: true }),
  problem(2, 131, 131, 2, 1, 16, { rotary: true, fused: true }),
  problem(1, 131, 131, 2, 1, 48, { rotary: true }),
  problem(1, 65, 129, 2, 1, 64, { rotary: true }),
  problem(2, 131, 131, 4, 2, 80, { rotary: true, fused: true }),
  problem(1, 37, 131, 2, 1, 96, { rotary: true }),
  problem(2, 131, 131, 2, 1, 128, { rotary: true, fused: true }),
  problem(1, 35, 35, 3, 1, 256, { rotary: true, fused: true }),
  problem(1, 37, 41, 2, 1, 64, { rotary: true, guard: 61 }),
  problem(1, 131, 131, 2, 1, 64, { window: 1 }),
  problem(2, 113, 203, 4, 2, 32, { window: 7 }),
  problem(1, 200, 200, 2, 1, 128, { window: 64 }),
  problem(1, 203, 203, 2, 1, 80, { window: 65, rotary: true, fused: true }),
  problem(1, 385, 385, 1, 1, 64, { window: 64 }),
  problem(1, 67, 67, 2, 1, 96, { window: 1000 }),
  problem(1, 203, 113, 2, 1, 48, { window: 7 }),
  problem(2, 1, 1025, 2, 1, 128, { window: 65 }),
  problem(1, 67, 197, 2, 1, 256, { window: 40, rotary: true }),
  problem(1, 67, 131, 2, 1, 16, { window: 33, guard: 61 }),
];

const few = [
  problem(1, 1, 1, 1, 1, 32),
  problem(2, 3, 3, 2, 1, 64),
  problem(1, 17, 17, 2, 1, 80),
  problem(1, 9, 9, 1, 1, 96),
  problem(1, 5, 5, 1, 1, 128),
  problem(1, 113, 203, 2, 1, 32),
  problem(1, 203, 113, 1, 1, 32),
  problem(1, 35, 65, 6, 1, 64),
  problem(1, 1, 1025, 1, 1, 64),
  problem(1, 33, 33, 2, 1, 64, { fused: true }),
  problem(1, 19, 19, 1, 1, 48),
  problem(1, 7, 7, 2, 1, 16, { fused: true, guard: 61 }),
  problem(1, 7, 7, 2, 1, 256, { fused: true, guard: 61 }),
  problem(1, 383, 383, 1, 1, 64),
  problem(1, 385, 385, 1, 1, 32),
  problem(1, 7, 7, 2, 1, 32, { fused: true, guard: 61 }),
  problem(1, 33, 35, 2, 1, 64, { rotary: true }),
  problem(1, 33, 67, 1, 1, 16, { rotary: true }),
  problem(1, 35, 67, 2, 1, 256, { rotary: true }),
  problem(1, 35, 35, 1, 1, 80, { rotary: true, fused: true }),
  problem(1, 35, 35, 1, 1, 128, { rotary: true }),
  problem(1, 7, 9, 2, 1, 32, { rotary: true, guard: 61 }),
  // A warpgroup's kernels go through all of their stages more than once.
  problem(1, 67, 211, 2, 1, 80),
  problem(1, 67, 211, 2, 1, 96),
  problem(1, 67, 211, 2, 1, 128),
  problem(1, 131, 131, 1, 1, 32, { window: 1 }),
  problem(1, 150, 150, 2, 1, 64, { window: 7, fused: true }),
  problem(1, 203, 113, 1, 1, 48, { window: 64 }),
  problem(1, 1, 300, 1, 1, 80, { window: 65 }),
  problem(1, 200, 200, 1, 1, 96, { window: 64 }),
  problem(1, 67, 211, 2, 1, 128, { window: 65, rotary: true }),
  problem(1, 33, 67, 1, 1, 256, { window: 20 }),
  problem(1, 33, 35, 1, 1, 16, { window: 1000 }),
];

export const problems = (backend: BackendName): readonly Problem[] => cases(backend, all, few);

export const title =
  "$queries x $keys, $heads heads over $kvHeads of $headDim, batch $batch, fused $fused, rotary $rotary, guard $guard, window $window";

export const scaleOf = (p: Problem): number => 1 / Math.sqrt(p.headDim);

/** The table of a rotary embedding: for each position and pair, a cosine and a sine. */
const turnsOf = (p: Problem): Float64Array =>
  rotaryTable(
    Float64Array.from({ length: p.headDim / 2 }, (_, i) => 0.9 ** i),
    p.keys,
  ).map(Math.fround);

/** dq and dk as the problem asks for them: rotated back, or as they are. */
export function rotatedBack(p: Problem, dq: Float64Array, dk: Float64Array, round: Round): Float64Array[] {
  if (!p.rotary) return [dq, dk];
  const turns = turnsOf(p);
  return [
    rotary(dq, [p.batch, p.queries, p.heads, p.headDim], turns, p.keys - p.queries, true).map(round),
    rotary(dk, [p.batch, p.keys, p.kvHeads, p.headDim], turns, 0, true).map(round),
  ];
}

export interface AttentionData {
  q: Float64Array;
  k: Float64Array;
  v: Float64Array;
  dout: Float64Array;
  /** The exact output and log-sum-exp. */
  out: Float64Array;
  lse: Float64Array;
}

export function dataOf(p: Problem, dtype: ComputeDType): AttentionData {
  const queries = p.batch * p.queries * p.heads * p.headDim;
  const keys = p.batch * p.keys * p.kvHeads * p.headDim;
  const [q, k, v] = [normals(queries, 1, dtype, 2), normals(keys, 2, dtype, 2), normals(keys, 3, dtype)];
  return { q, k, v, dout: normals(queries, 4, dtype), ...attention(q, k, v, p, scaleOf(p)) };
}

/** [batch, length, heads of a, heads of b, …, headDim]: the heads of several tensors side by side. */
export function fuse(p: Problem, parts: readonly Float64Array[]): Float64Array {
  const positions = p.batch * p.keys;
  const widths = parts.map((part) => part.length / positions);
  const width = widths.reduce((a, b) => a + b, 0);
  const out = new Float64Array(positions * width);
  for (let t = 0; t < positions; ++t) {
    let at = t * width;
    parts.forEach((part, i) => {
      out.set(part.subarray(t * widths[i]!, (t + 1) * widths[i]!), at);
      at += widths[i]!;
    });
  }
  return out;
}

/** The q, k and v heads of a fused tensor. */
function split(p: Problem, fused: Tensor): { q: Tensor; k: Tensor; v: Tensor } {
  return {
    q: fused.narrow(2, 0, p.heads),
    k: fused.narrow(2, p.heads, p.kvHeads),
    v: fused.narrow(2, p.heads + p.kvHeads, p.kvHeads),
  };
}

function queryShape(p: Problem): number[] {
  return [p.batch, p.queries, p.heads, p.headDim];
}

/** q, k and v of a problem on the device. */
function upload(
  memory: Memory,
  p: Problem,
  dtype: ComputeDType,
  d: AttentionData,
): { q: Tensor; k: Tensor; v: Tensor } {
  const keyShape = [p.batch, p.keys, p.kvHeads, p.headDim];
  if (p.fused) {
    const shape = [p.batch, p.keys, p.heads + 2 * p.kvHeads, p.headDim];
    return split(p, memory.input(dtype, shape, fuse(p, [d.q, d.k, d.v])));
  }
  return {
    q: memory.input(dtype, queryShape(p), d.q),
    k: memory.input(dtype, keyShape, d.k),
    v: memory.input(dtype, keyShape, d.v),
  };
}

export function enqueueForward(
  memory: Memory,
  p: Problem,
  dtype: ComputeDType,
  d: AttentionData,
): { out: Tensor; lse: Tensor } {
  const { q, k, v } = upload(memory, p, dtype, d);
  const out = memory.output(dtype, queryShape(p));
  const lse = memory.output("f32", [p.batch, p.heads, p.queries]);
  native.attentionForward(out, lse, q, k, v, scaleOf(p), p.window);
  return { out, lse };
}

/** Gradients from the reference's rounded output: [dq, dk, dv], or where fused the one tensor of all three. */
export function enqueueBackward(memory: Memory, p: Problem, dtype: ComputeDType, d: AttentionData): Tensor[] {
  const { q, k, v } = upload(memory, p, dtype, d);
  const keyShape = [p.batch, p.keys, p.kvHeads, p.headDim];
  const whole = p.fused
    ? [memory.output(dtype, [p.batch, p.keys, p.heads + 2 * p.kvHeads, p.headDim])]
    : [queryShape(p), keyShape, keyShape].map((shape) => memory.output(dtype, shape));
  const parts = p.fused ? split(p, whole[0]!) : { q: whole[0]!, k: whole[1]!, v: whole[2]! };
  const elements = native.attentionBackwardWorkspace(
    memory.device,
    p.batch,
    p.queries,
    p.keys,
    p.heads,
    p.kvHeads,
    p.headDim,
  );
  native.attentionBackward(
    parts.q,
    parts.k,
    parts.v,
    memory.input(dtype, queryShape(p), d.dout),
    q,
    k,
    v,
    memory.input(dtype, queryShape(p), d.out.map(rounding[dtype])),
    memory.input("f32", [p.batch, p.heads, p.queries], d.lse),
    memory.workspace("f32", elements),
    p.rotary ? memory.input("f32", [p.keys, p.headDim / 2, 2], turnsOf(p)) : null,
    scaleOf(p),
    p.window,
  );
  return whole;
}
