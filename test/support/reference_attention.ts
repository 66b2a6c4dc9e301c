/** Causal grouped-query attention in float64; see reference.ts for `round`. */
import { exact, type Round } from "./numbers.js";
import type { Values } from "./reference.js";

// Looking up a global costs a microsecond in a test's context.
const { exp, floor, log, max } = Math;

export interface AttentionShape {
  batch: number;
  queries: number;
  keys: number;
  heads: number;
  kvHeads: number;
  headDim: number;
  /** How many keys a query sees, up to its own; 0 or left out: all. */
  window?: number;
}

/**
 * Calls `f` for every query row: where it starts in q, its place in lse, where the row of the j-th key that it sees
 * starts in k, and how many it sees.
 */
function eachQuery(
  s: AttentionShape,
  f: (query: number, lse: number, key: (j: number) => number, visible: number) => void,
): void {
  const window = s.window || s.keys;
  for (let b = 0; b < s.batch; ++b) {
    for (let h = 0; h < s.heads; ++h) {
      const g = floor(h / (s.heads / s.kvHeads));
      for (let i = 0; i < s.queries; ++i) {
        const end = max(0, i + s.keys - s.queries + 1);
        const first = max(0, end - window);
        const visible = end - first;
        const key = (j: number): number => ((b * s.keys + first + j) * s.kvHeads + g) * s.headDim;
        f(((b * s.queries + i) * s.heads + h) * s.headDim, (b * s.heads + h) * s.queries + i, key, visible);
      }
    }
  }
}

function dot(a: Values, i: number, b: Values, j: number, size: number): number {
  let total = 0;
  for (let d = 0; d < size; ++d) total += a[i + d]! * b[j + d]!;
  return total;
}

/** out = softmax(scale q k^T + mask) v and lse; the unnormalised probabilities are what is rounded on the way. */
export function attention(
  q: Values,
  k: Values,
  v: Values,
  s: AttentionShape,
  scale: number,
  round: Round = exact,
): { out: Float64Array; lse: Float64Array } {
  const out = new Float64Array(q.length);
  const lse = new Float64Array(s.batch * s.heads * s.queries).fill(-Infinity);
  eachQuery(s, (query, at, key, visible) => {
    if (visible === 0) return;
    const scores = Array.from({ length: visible }, (_, j) => scale * dot(q, query, k, key(j), s.headDim));
    const largest = max(...scores);
    const weights = scores.map((score) => exp(score - largest));
    const total = weights.reduce((a, b) => a + b, 0);
    lse[at] = largest + log(total);
    for (let d = 0; d < s.headDim; ++d) {
      let value = 0;
      for (let j = 0; j < visible; ++j) value += round(weights[j]!) * v[key(j) + d]!;
      out[query + d] = round(value / total);
    }
  });
  return { out, lse };
}

/** The gradients in q, k and v; probabilities and the scores' gradients are what is rounded on the way. */
export function attentionBackward(
  dout: Values,
  q: Values,
  k: Values,
  v: Values,
  out: Values,
  lse: Values,
  s: AttentionShape,
  scale: number,
  round: Round = exact,
): { dq: Float64Array; dk: Float64Array; dv: Float64Array } {
  const dq = new Float64Array(q.length);
  const dk = new Float64Array(k.length);
  const dv = new Float64Array(v.length);
  eachQuery(s, (query, at, key, visible) => {
    const delta = dot(dout, query, out, query, s.headDim);
    for (let j = 0; j < visible; ++j) {
      const p = exp(scale * dot(q, query, k, key(j), s.headDim) - lse[at]!);
      const ds = round(p * (dot(dout, query, v, key(j), s.headDim) - delta));
      for (let d = 0; d < s.headDim; ++d) {
        dv[key(j) + d]! += round(p) * dout[query + d]!;
        dq[query + d]! += scale * ds * k[key(j) + d]!;
        dk[key(j) + d]! += scale * ds * q[query + d]!;
      }
    }
  });
  return { dq: dq.map(round), dk: dk.map(round), dv: dv.map(round) };
}
