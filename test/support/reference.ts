/**
 * Every operation in float64 and plain loops. `round` is applied where a plain implementation in a narrower dtype has
 * to store a value; the identity gives the exact result.
 */
import { exact, type Round } from "./numbers.js";

export type Values = ArrayLike<number>;

// Looking up a global costs a microsecond in a test's context.
const { PI, cos, exp, floor, sin, sqrt, tanh } = Math;

export const IGNORED = -100;

/** c[m,n] = op(a)[m,k] op(b)[k,n] + c0 */
export function matmul(
  a: Values,
  b: Values,
  m: number,
  n: number,
  k: number,
  transposeA = false,
  transposeB = false,
  c0?: Values,
): Float64Array {
  const c = new Float64Array(m * n);
  for (let i = 0; i < m; ++i) {
    for (let j = 0; j < n; ++j) {
      let total = c0 ? c0[i * n + j]! : 0;
      for (let l = 0; l < k; ++l) {
        total += a[transposeA ? l * m + i : i * k + l]! * b[transposeB ? j * k + l : l * n + j]!;
      }
      c[i * n + j] = total;
    }
  }
  return c;
}

/** out[n,c]: the mean of the rows of table[v,c] at tokens[n*k]; an id outside the table counts as zeros. */
export function patchEmbedding(tokens: Values, table: Values, n: number, c: number): Float64Array {
  const k = tokens.length / n;
  const v = table.length / c;
  const out = new Float64Array(n * c);
  for (let i = 0; i < tokens.length; ++i) {
    const id = tokens[i]!;
    if (id < 0 || id >= v) continue;
    for (let j = 0; j < c; ++j) out[floor(i / k) * c + j]! += table[id * c + j]! / k;
  }
  return out;
}

/** dtable0 + the gradient of patchEmbedding in its table. */
export function patchEmbeddingBackward(dtable0: Values, dout: Values, tokens: Values, n: number): Float64Array {
  const k = tokens.length / n;
  const c = dout.length / n;
  const v = dtable0.length / c;
  const dtable = Float64Array.from(dtable0);
  for (let i = 0; i < tokens.length; ++i) {
    const id = tokens[i]!;
    if (id < 0 || id >= v) continue;
    for (let j = 0; j < c; ++j) dtable[id * c + j]! += dout[floor(i / k) * c + j]! / k;
  }
  return dtable;
}

export interface Norm {
  sum: Float64Array;
  rstd: Float64Array;
  out: Float64Array;
}

/** sum[n,c] = x + add; out = sum * rstd * weight, rstd[n] = 1 / sqrt(mean(sum^2) + epsilon) of the rounded sum. */
export function rmsNorm(x: Values, add: Values | null, weight: Values, epsilon: number, round: Round = exact): Norm {
  const c = weight.length;
  const n = x.length / c;
  const sum = Float64Array.from(x, (value, i) => (add ? round(value + add[i]!) : value));
  const rstd = new Float64Array(n);
  const out = new Float64Array(n * c);
  for (let i = 0; i < n; ++i) {
    let squares = 0;
    for (let j = 0; j < c; ++j) squares += sum[i * c + j]! ** 2;
    rstd[i] = 1 / sqrt(squares / c + epsilon);
    for (let j = 0; j < c; ++j) out[i * c + j] = round(sum[i * c + j]! * rstd[i]! * weight[j]!);
  }
  return { sum, rstd, out };
}

/** Gradients of rmsNorm in sum and weight; dx0 and dweight0 are what they are added to. */
export function rmsNormBackward(
  dout: Values,
  sum: Values,
  rstd: Values,
  weight: Values,
  dx0: Values | null,
  dweight0: Values,
): { dx: Float64Array; dweight: Float64Array } {
  const c = weight.length;
  const n = rstd.length;
  const dx = new Float64Array(n * c);
  const dweight = Float64Array.from(dweight0);
  for (let i = 0; i < n; ++i) {
    let dot = 0;
    for (let j = 0; j < c; ++j) {
      const at = i * c + j;
      dot += dout[at]! * weight[j]! * sum[at]!;
      dweight[j]! += dout[at]! * sum[at]! * rstd[i]!;
    }
    for (let j = 0; j < c; ++j) {
      const at = i * c + j;
      const own = dout[at]! * weight[j]! * rstd[i]! - (sum[at]! * rstd[i]! ** 3 * dot) / c;
      dx[at] = own + (dx0 ? dx0[at]! : 0);
    }
  }
  return { dx, dweight };
}

/** table[positions, d/2, 2] = (cos, sin)(position * inverseFrequencies[i]) */
export function rotaryTable(inverseFrequencies: Values, positions: number): Float64Array {
  const half = inverseFrequencies.length;
  const table = new Float64Array(positions * half * 2);
  for (let t = 0; t < positions; ++t) {
    for (let i = 0; i < half; ++i) {
      const angle = t * inverseFrequencies[i]!;
      table[(t * half + i) * 2] = cos(angle);
      table[(t * half + i) * 2 + 1] = sin(angle);
    }
  }
  return table;
}

/** x[b,t,h,d], element i of a head turned with element i + d/2 by the table's entry for position t + offset. */
export function rotary(
  x: Values,
  shape: readonly [number, number, number, number],
  table: Values,
  offset: number,
  inverse: boolean,
): Float64Array {
  const [b, t, h, d] = shape;
  const half = d / 2;
  const out = Float64Array.from(x);
  for (let head = 0; head < b * t * h; ++head) {
    const position = (floor(head / h) % t) + offset;
    for (let i = 0; i < half; ++i) {
      const cos = table[(position * half + i) * 2]!;
      const sin = table[(position * half + i) * 2 + 1]! * (inverse ? -1 : 1);
      const at = head * d + i;
      out[at] = x[at]! * cos - x[at + half]! * sin;
      out[at + half] = x[at + half]! * cos + x[at]! * sin;
    }
  }
  return out;
}

/** The activation of a gated unit, and its derivative. */
const activations = {
  SwiGLU(x: number) {
    const sigmoid = 1 / (1 + exp(-x));
    return { value: x * sigmoid, slope: sigmoid * (1 + x * (1 - sigmoid)) };
  },
  /** GELU in its tanh form. */
  GeGLU(x: number) {
    const inner = tanh(sqrt(2 / PI) * (x + 0.044715 * x ** 3));
    const bent = sqrt(2 / PI) * (1 + 3 * 0.044715 * x * x);
    // Far out, 1 - tanh^2 is 0 and x^2 may be infinite.
    const rest = inner * inner === 1 ? 0 : 0.5 * x * (1 - inner * inner) * bent;
    return { value: 0.5 * x * (1 + inner), slope: 0.5 * (1 + inner) + rest };
  },
} as const;

/** out[n,i] = activation(gate) * up, gateUp[n,2i] = (gate | up) */
export function glu(unit: keyof typeof activations, gateUp: Values, n: number): Float64Array {
  const width = gateUp.length / n / 2;
  return Float64Array.from({ length: n * width }, (_, at) => {
    const row = floor(at / width) * 2 * width;
    return activations[unit](gateUp[row + (at % width)]!).value * gateUp[row + width + (at % width)]!;
  });
}

export function gluBackward(unit: keyof typeof activations, dout: Values, gateUp: Values, n: number): Float64Array {
  const width = gateUp.length / n / 2;
  const out = new Float64Array(gateUp.length);
  for (let at = 0; at < n * width; ++at) {
    const i = floor(at / width) * 2 * width + (at % width);
    const { value, slope } = activations[unit](gateUp[i]!);
    out[i] = dout[at]! * gateUp[i + width]! * slope;
    out[i + width] = dout[at]! * value;
  }
  return out;
}
