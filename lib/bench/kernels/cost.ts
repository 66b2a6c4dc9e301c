/**
 * The least that an operation has to move and to compute. This is the only place that counts it.
 *
 * Bytes: each input is read once and each output written once, even if an implementation reads something twice. For a
 * gather, only the table rows that occur count. FLOPs: those of matrix products, two for a multiply-add; elementwise
 * arithmetic is left out, because no operation here is bound by it.
 */

export interface Cost {
  readonly bytes: number;
  readonly flops: number;
}

const f32 = 4;
const i32 = 4;

/** Expected number of rows that n uniformly random ids touch in a table of V rows: V (1 - (1 - 1/V)^n). */
export function touchedRows(n: number, V: number): number {
  return V * -Math.expm1(n * Math.log1p(-1 / V));
}

/** @param dt bytes of an element of the compute dtype; sizes as in native/kernels.h */
export function costs(dt: number) {
  return {
    /** 4 n written. */
    fill: (n: number): Cost => memory(f32 * n),
    /** 4 n read, dt n written. */
    copy: (n: number): Cost => memory((f32 + dt) * n),
    /** c = op(a) op(b): a and b read, c written (and read if it is added to). 2 M N K. */
    matmul: (M: number, N: number, K: number, c: { bytes: number; accumulate: boolean }): Cost => ({
      bytes: dt * (M * K + K * N) + (c.accumulate ? 2 : 1) * c.bytes * M * N,
      flops: 2 * M * N * K,
    }),
    /** L times c = op(a) op(b) + add: a, b and add read, c written. 2 L M N K. */
    batchedMatmul: (L: number, M: number, N: number, K: number, adds: boolean): Cost => ({
      bytes: dt * L * (M * K + K * N + (adds ? 2 : 1) * M * N),
      flops: 2 * L * M * N * K,
    }),
    /** The tokens and the touched rows of the table read, out written. */
    patchEmbeddingForward: (N: number, K: number, C: number, V: number): Cost =>
      memory(i32 * N * K + dt * C * touchedRows(N * K, V) + dt * N * C),
    /** The tokens and dout read, the touched rows of the gradient read and written. */
    patchEmbeddingBackward: (N: number, K: number, C: number, V: number): Cost =>
      memory(i32 * N * K + dt * N * C + 2 * f32 * C * touchedRows(N * K, V)),
    /** x, add and the weight read, sum, out and rstd written. */
    rmsNormForward: (N: number, C: number): Cost => memory(dt * (4 * N * C + C) + f32 * N),
    /** dout, sum, dx, rstd and the weight read, dx written, the weight's gradient read and written. */
    rmsNormBackward: (N: number, C: number): Cost => memory(dt * (4 * N * C + C) + f32 * N + 2 * f32 * C),
    /** x, residual and the weight read, out and rstd written. */
    rmsNormResidualForward: (N: number, C: number): Cost => memory(dt * (3 * N * C + C) + f32 * N),
    /** x, the weight and T rows of the table read, out and rstd written. */
    qkNormForward: (B: number, T: number, H: number, D: number): Cost =>
      memory(dt * (2 * B * T * H * D + D) + f32 * (B * T * H + T * D)),
    /** dout, x, rstd and the weight read, dx written, the weight's gradient read and written. */
    qkNormBackward: (B: number, T: number, H: number, D: number): Cost =>
      memory(dt * (3 * B * T * H * D + D) + f32 * (B * T * H + 2 * D)),
    /** x read and written, the bias read. */
    biasForward: (N: number, C: number): Cost => memory(dt * (2 * N * C + C)),
    /** dout read, the bias's gradient read and written. */
    biasBackward: (N: number, C: number): Cost => memory(dt * N * C + 2 * f32 * C),
    /** x read and written, T rows of the table read. `heads` counts those of q and k together. */
    rotary: (B: number, T: number, heads: number, D: number): Cost => memory(2 * dt * B * T * heads * D + f32 * T * D),
    /** q, k and v read, out and lse written. q k^T and p v over the unmasked pairs: 2 x 2 D per pair. */
    attentionForward: (B: number, T: number, H: number, G: number, D: number): Cost => ({
      bytes: dt * B * T * D * (2 * H + 2 * G) + f32 * B * T * H,
      flops: 4 * D * B * H * causalPairs(T),
    }),
    /** q, k, v, out, dout and lse read, dq, dk and dv written. q k^T again, dv, dp, dq and dk: 5 x 2 D per pair. */
    attentionBackward: (B: number, T: number, H: number, G: number, D: number): Cost => ({
      bytes: dt * B * T * D * (4 * H + 4 * G) + f32 * B * T * H,
      flops: 10 * D * B * H * causalPairs(T),
    }),
    /** gate and up read, out written. */
    swigluForward: (N: number, I: number): Cost => memory(dt * 3 * N * I),
    /** dout, gate and up read, their gradients written. */
    swigluBackward: (N: number, I: number): Cost => memory(dt * 5 * N * I),
    /** The logits read, their gradient written over them; labels and coefficients read, losses written. */
    crossEntropy: (R: number, K: number, V: number): Cost => memory(2 * dt * R * V + i32 * R * K + f32 * (K + R)),
    /** The gradient read. */
    gradNorm: (n: number): Cost => memory(f32 * n),
    /** The gradient read; master and both moments read and written; the parameter (if it is not master) written. */
    adamw: (n: number): Cost => memory((7 * f32 + (dt === f32 ? 0 : dt)) * n),
    /**
     * The gradient read, the momentum read and written; out written, and once more read and written when its norm is
     * known.
     */
    muonMomentum: (n: number): Cost => memory((3 * f32 + 3 * dt) * n),
    /** The update read, master read and written; the parameter (if it is not master) written. */
    muonUpdate: (n: number): Cost => memory((2 * f32 + dt + (dt === f32 ? 0 : dt)) * n),
  };
}

/** Pairs of a query and a key visible to it: T (T + 1) / 2. */
function causalPairs(T: number): number {
  return (T * (T + 1)) / 2;
}

function memory(bytes: number): Cost {
  return { bytes: Math.round(bytes), flops: 0 };
}
