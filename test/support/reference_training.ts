/** The loss, the optimizer and the random numbers in float64. */
import { IGNORED, type Values } from "./reference.js";

// Looking up a global costs a microsecond in a test's context.
const { cos, exp, log, max, min, sin, sqrt, floor, PI } = Math;

/** labels[n,k]: the tokens of the next patch of the same sequence of `positions` patches. */
export function patchLabels(tokens: Values, n: number, positions: number): Float64Array {
  const k = tokens.length / n;
  return Float64Array.from({ length: tokens.length }, (_, i) =>
    floor(i / k) % positions === positions - 1 ? IGNORED : tokens[i + k]!,
  );
}

/** coefficients[k] = weights[k] / the number of labels[n,k] at that offset that are not ignored; 0 for none. */
export function labelCoefficients(labels: Values, weights: Values): Float64Array {
  const k = weights.length;
  return Float64Array.from(weights, (weight, j) => {
    let count = 0;
    for (let i = j; i < labels.length; i += k) count += labels[i] === IGNORED ? 0 : 1;
    return count === 0 ? 0 : weight / count;
  });
}

/** losses[r] and the gradient in logits[r,v] of the K-way cross-entropy; labels outside [0, v) are ignored. */
export function crossEntropy(
  logits: Values,
  labels: Values,
  coefficients: Values,
  rows: number,
): { losses: Float64Array; gradient: Float64Array } {
  const v = logits.length / rows;
  const k = coefficients.length;
  const losses = new Float64Array(rows);
  const gradient = new Float64Array(logits.length);
  for (let r = 0; r < rows; ++r) {
    const row = Array.from({ length: v }, (_, i) => logits[r * v + i]!);
    const largest = row.reduce((most, x) => max(most, x), -Infinity);
    const total = row.reduce((sum, x) => sum + exp(x - largest), 0);
    const lse = largest + log(total);
    for (let j = 0; j < k; ++j) {
      const label = labels[r * k + j]!;
      if (label < 0 || label >= v) continue;
      losses[r]! += coefficients[j]! * (lse - row[label]!);
      for (let i = 0; i < v; ++i) gradient[r * v + i]! += coefficients[j]! * exp(row[i]! - lse);
      gradient[r * v + label]! -= coefficients[j]!;
    }
  }
  return { losses, gradient };
}

export interface AdamWState {
  master: Float64Array;
  m: Float64Array;
  v: Float64Array;
}

export interface Hyper {
  learningRate: number;
  beta1: number;
  beta2: number;
  epsilon: number;
  weightDecay: number;
  maxNorm: number;
}

/** Step `t` (from 1) of AdamW in place, after clipping by the norm of `grad`. */
export function adamw(state: AdamWState, grad: Values, hyper: Hyper, t: number, decayed: number): void {
  const { learningRate: lr, beta1, beta2, epsilon, weightDecay, maxNorm } = hyper;
  const clip = maxNorm > 0 ? min(1, maxNorm / norm(grad)) : 1;
  for (let i = 0; i < grad.length; ++i) {
    const g = grad[i]! * clip;
    const m = beta1 * state.m[i]! + (1 - beta1) * g;
    const v = beta2 * state.v[i]! + (1 - beta2) * g * g;
    state.m[i] = m;
    state.v[i] = v;
    const change = m / (1 - beta1 ** t) / (sqrt(v / (1 - beta2 ** t)) + epsilon);
    state.master[i]! -= lr * (change + (i < decayed ? weightDecay * state.master[i]! : 0));
  }
}

export interface MuonHyper {
  learningRate: number;
  momentum: number;
  weightDecay: number;
  maxNorm: number;
}

/**
 * What a Muon step orthogonalizes, of a matrix: its clipped gradient's average (changed in place), or with `nesterov`
 * what one more averaging gives, rounded and divided by its norm.
 * @param gradNorm of all gradients
 */
export function muonMomentum(
  momentum: Float64Array,
  grad: Values,
  gradNorm: number,
  { momentum: mu, maxNorm }: MuonHyper,
  nesterov: boolean,
  round: (x: number) => number,
): Float64Array {
  const clip = maxNorm > 0 ? min(1, maxNorm / gradNorm) : 1;
  const update = new Float64Array(grad.length);
  for (let i = 0; i < grad.length; ++i) {
    const g = clip * grad[i]!;
    const m = mu * momentum[i]! + (1 - mu) * g;
    momentum[i] = m;
    update[i] = round(nesterov ? mu * m + (1 - mu) * g : m);
  }
  const length = max(norm(update), 1e-7);
  return update.map((x) => round(x / length));
}

export function norm(x: Values): number {
  let squares = 0;
  for (let i = 0; i < x.length; ++i) squares += x[i]! ** 2;
  return sqrt(squares);
}

/** The four 32-bit words of Philox4x32-10 at `counter` of the stream of `seed`. */
export function philox(seed: bigint, counter: bigint): number[] {
  const low = (x: bigint): bigint => x & 0xffffffffn;
  let [x0, x1, x2, x3] = [low(counter), low(counter >> 32n), 0n, 0n];
  let [key0, key1] = [low(seed), low(seed >> 32n)];
  for (let round = 0; round < 10; ++round) {
    const a = 0xd2511f53n * x0;
    const b = 0xcd9e8d57n * x2;
    [x0, x1, x2, x3] = [(b >> 32n) ^ x1 ^ key0, low(b), (a >> 32n) ^ x3 ^ key1, low(a)];
    [key0, key1] = [low(key0 + 0x9e3779b9n), low(key1 + 0xbb67ae85n)];
  }
  return [x0, x1, x2, x3].map(Number);
}

/** Element `i` of the stream of standard normals of `seed`: Box and Muller on the words at counter i / 4. */
export function normal(seed: bigint, i: bigint): number {
  const words = philox(seed, i / 4n);
  const lane = Number(i % 4n);
  const uniform = (word: number): number => (word + 0.5) / 2 ** 32;
  const radius = sqrt(-2 * log(uniform(words[lane & 2]!)));
  const angle = 2 * PI * uniform(words[(lane & 2) + 1]!);
  return radius * (lane % 2 === 0 ? cos(angle) : sin(angle));
}
