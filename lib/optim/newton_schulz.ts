/** The Newton-Schulz iteration of torch.optim.Muon, for a stack of matrices of one shape. */
import { native, type Tensor } from "../native.js";
import { Spec } from "../nn/buffers.js";

/** Coefficients of the quintic aX + bAX + cAAX, A = XX^T: large a slope at zero, without the singular values reaching 1. */
const [a, b, c] = [3.4445, -4.775, 2.0315];

/** What the iteration takes for at most `elements` elements of matrices with `gram` elements of XX^T in all. */
export function newtonSchulzSpecs(dtype: "f32" | "bf16", elements: number, gram: number) {
  const [matrices, grams] = [new Spec(dtype, [elements]), new Spec(dtype, [gram])];
  return { x: matrices, next: matrices, gram: grams, polynomial: grams };
}

/** The memory of an iteration over [count, rows, columns]. */
export interface NewtonSchulzMemory {
  /** dt [count, rows, columns]: the matrices, of a Frobenius norm of 1 at most. */
  readonly x: Tensor;
  /** dt [count, rows, columns] */
  readonly next: Tensor;
  /** dt [count, s, s] each, where s = min(rows, columns) */
  readonly gram: Tensor;
  readonly polynomial: Tensor;
}

/**
 * Enqueues `steps` steps of X = aX + bAX + cAAX, A = XX^T. A matrix of more rows than columns takes the same steps from
 * the right: X = aX + bXA + cXAA, A = X^TX, which is the transpose of what its transpose comes to.
 * @returns x or next, which then holds the result
 */
export function newtonSchulz({ x, next, gram, polynomial }: NewtonSchulzMemory, steps: number): Tensor {
  const [, rows, columns] = x.shape;
  const tall = rows! > columns!;
  let [from, to] = [x, next];
  for (let step = 0; step < steps; step++) {
    native.batchedMatmul(gram, from, from, null, tall, !tall, 1, 0);
    native.batchedMatmul(polynomial, gram, gram, gram, false, false, c, b);
    if (tall) native.batchedMatmul(to, from, polynomial, from, false, false, 1, a);
    else native.batchedMatmul(to, polynomial, from, from, false, false, 1, a);
    [from, to] = [to, from];
  }
  return from;
}
