/**
 * `nextpatch/kernels`: the three kernels of patch-level training alone, forward and backward, on tensors of one's own.
 *
 * `dt` is f32 or bf16, the same for all tensors of a call so marked; sums, softmax and losses are in f32. Tensors are
 * row-major; those of attention may be strided views whose last dimension is contiguous, all others are contiguous.
 * Every call checks its arguments, enqueues its work on the device of its tensors and returns at once:
 * `await tensor.read()` or `await device.synchronize()` waits. The same inputs give the same bits.
 *
 * A wrong argument throws `TypeError` (kind, dtype, device) or `RangeError` (shape, value), memory that is not to be
 * had `OutOfMemoryError`. An id outside the vocabulary is seen only by the kernel: it counts as a row of zeros or as
 * an ignored label, and the next wait rejects with a `RangeError` that names it.
 */
import { native, Tensor } from "./native.js";

export { Device, type DeviceSpec } from "./device.js";
export { DeviceError, OutOfMemoryError } from "./errors.js";
export { Tensor, type ArrayOf, type DType } from "./native.js";

/** The dtypes that the kernels compute in. */
export type ComputeDType = "f32" | "bf16";

// ---- Patch embedding ------------------------------------------------------------------------------------------

/**
 * The mean of the embeddings of every K consecutive tokens (arXiv 2407.12665), rounded once:
 * `out[n] = (1/K) * sum_j table[tokens[n*K + j]]`. With K = 1 an ordinary embedding.
 *
 * @param tokens i32 of any shape, N*K ids
 * @param table dt [V, C]
 * @param options.patchSize K
 * @param options.out dt [N, C] to write to, else a new tensor
 * @returns dt [N, C]
 */
export function patchEmbedding<D extends ComputeDType>(
  tokens: Tensor<"i32">, table: Tensor<D>, options: { patchSize: number; out?: Tensor<D> },
): Tensor<D> {
  const { patchSize } = options;
  if (!Number.isInteger(patchSize) || patchSize < 1 || tokens.size % patchSize !== 0) {
    throw new RangeError(
      `patchEmbedding: patchSize: expected a divisor of the ${tokens.size} tokens but got ${patchSize}`,
    );
  }
  const [, cols] = dimensions("patchEmbedding", "table", table, 2);
  const out = options.out ?? new Tensor(table.device, table.dtype, [tokens.size / patchSize, cols!]);
  native.patchEmbeddingForward(out, flat(tokens), table);
  return out;
}

export namespace patchEmbedding {
  /**
   * The gradient of `patchEmbedding` in its table: every token's row receives `dout / K` of its patch, summed in a
   * fixed order and without float atomics.
   *
   * @param dout dt [N, C], the gradient in `out`
   * @param tokens i32, the ids of the forward; K is their number over N
   * @param target `vocabulary`: V, for a new tensor; or `dtable`, f32 [V, C], to add the gradient to (a head that
   *   shares the table, further micro-batches)
   * @returns f32 [V, C]
   */
  export function backward(
    dout: Tensor<ComputeDType>, tokens: Tensor<"i32">, target: { vocabulary: number } | { dtable: Tensor<"f32"> },
  ): Tensor<"f32"> {
    const dtable = "dtable" in target
      ? target.dtable
      : zeros(dout, [target.vocabulary, dimensions("patchEmbedding.backward", "dout", dout, 2)[1]!]);
    const [vocabulary] = dimensions("patchEmbedding.backward", "dtable", dtable, 2);
    const elements = native.patchEmbeddingBackwardWorkspace(dout.device, tokens.size, vocabulary!);
    const workspace = new Tensor(dout.device, "i32", [elements]);
    native.patchEmbeddingBackward(dtable, dout, flat(tokens), workspace);
    workspace.dispose();
    return dtable;
  }
}

// ---- Attention ------------------------------------------------------------------------------------------------

/**
 * Causal grouped-query attention that never stores its scores (FlashAttention, arXiv 2205.14135 and 2307.08691):
 * `out = softmax(scale * q k^T + mask) v`, query head h reading key head `floor(h / (H/G))`. The mask is aligned at
 * the end: query i sees keys j <= i + Tk - Tq. A query that sees no key gives zeros and an `lse` of -Infinity.
 *
 * @param q dt [B, Tq, H, D], D one of 32, 48, 64, 80, 96, 128
 * @param k dt [B, Tk, G, D], G a divisor of H
 * @param v dt [B, Tk, G, D]
 * @param options.scale of the scores; 1/sqrt(D) where left out
 * @returns `out` dt [B, Tq, H, D], and `lse` f32 [B, H, Tq], the log of the sum of the exponentials of a query's scores
 */
export function flashAttention<D extends ComputeDType>(
  q: Tensor<D>, k: Tensor<D>, v: Tensor<D>, options: { scale?: number } = {},
): { out: Tensor<D>; lse: Tensor<"f32"> } {
  const [batch, queries, heads, headDim] = dimensions("flashAttention", "q", q, 4);
  const out = new Tensor(q.device, q.dtype, q.shape);
  const lse = new Tensor(q.device, "f32", [batch!, heads!, queries!]);
  native.attentionForward(out, lse, q, k, v, options.scale ?? 1 / Math.sqrt(headDim!));
  return { out, lse };
}

export namespace flashAttention {
  /**
   * The gradient of `flashAttention` in its inputs, the scores computed again.
   *
   * @param dout dt [B, Tq, H, D], the gradient in `out`
   * @param saved the inputs and results of the forward, with the `scale` that was given to it
   * @returns gradients of the shapes of q, k and v
   */
  export function backward<D extends ComputeDType>(
    dout: Tensor<D>,
    saved: { q: Tensor<D>; k: Tensor<D>; v: Tensor<D>; out: Tensor<D>; lse: Tensor<"f32">; scale?: number },
  ): { dq: Tensor<D>; dk: Tensor<D>; dv: Tensor<D> } {
    const { q, k, v, out, lse } = saved;
    const [batch, queries, heads, headDim] = dimensions("flashAttention.backward", "q", q, 4);
    const [, keys, kvHeads] = dimensions("flashAttention.backward", "k", k, 4);
    const elements = native.attentionBackwardWorkspace(q.device, batch!, queries!, keys!, heads!, kvHeads!, headDim!);
    const workspace = new Tensor(q.device, "f32", [Math.max(elements, 1)]);
    const [dq, dk, dv] = [q, k, v].map((input) => new Tensor(input.device, input.dtype, input.shape));
    const scale = saved.scale ?? 1 / Math.sqrt(headDim!);
    native.attentionBackward(dq!, dk!, dv!, dout, q, k, v, out, lse, workspace, scale);
    workspace.dispose();
    return { dq: dq!, dk: dk!, dv: dv! };
  }
}

// ---- Cross-entropy --------------------------------------------------------------------------------------------

export interface PatchLoss {
  /** f32 [1]: the loss in nats. */
  loss: Tensor<"f32">;
  /** f32 [N]: what each row contributes to it. */
  losses: Tensor<"f32">;
}

/**
 * The next-patch loss (arXiv 2407.12665): one distribution a row is held against the K tokens of the patch that
 * follows it, `loss = sum_j w_j * mean_n -log softmax(logits[n])[labels[n, j]]`. For each j the mean is over the rows
 * whose label is not -100 (no label). Labels may repeat. With K = 1 the ordinary cross-entropy.
 *
 * @param logits dt [N, V]
 * @param labels i32 [N, K]
 * @param options.weights K numbers; 1/K each where left out
 */
export function patchCrossEntropy(
  logits: Tensor<ComputeDType>, labels: Tensor<"i32">, options: { weights?: ArrayLike<number> } = {},
): PatchLoss {
  return nextPatchLoss("patchCrossEntropy", logits, labels, options.weights, false);
}

export namespace patchCrossEntropy {
  /**
   * The loss and its gradient in the logits, in one pass over memory. **The gradient takes the place of the logits**:
   * `dlogits` is the tensor `logits` itself, and the logits are gone.
   *
   * @param logits dt [N, V], overwritten
   * @param labels as in the forward
   * @param options as in the forward
   * @returns the loss as from the forward, which need not be called before, and `dlogits` dt [N, V]
   */
  export function backward<D extends ComputeDType>(
    logits: Tensor<D>, labels: Tensor<"i32">, options: { weights?: ArrayLike<number> } = {},
  ): PatchLoss & { dlogits: Tensor<D> } {
    const { loss, losses } = nextPatchLoss("patchCrossEntropy.backward", logits, labels, options.weights, true);
    return { loss, losses, dlogits: logits };
  }
}

function nextPatchLoss(
  operation: string, logits: Tensor, labels: Tensor, weights: ArrayLike<number> | undefined, gradient: boolean,
): PatchLoss {
  const { device } = logits;
  const [rows] = dimensions(operation, "logits", logits, 2);
  const [, patchSize] = dimensions(operation, "labels", labels, 2);
  if (weights && weights.length !== patchSize) {
    throw new RangeError(
      `${operation}: weights: expected ${patchSize} numbers, one a label of a row, but got ${weights.length}`,
    );
  }
  const labelWeights = new Tensor(device, "f32", [patchSize!]);
  labelWeights.write(weights ? Float32Array.from(weights) : new Float32Array(patchSize!).fill(1 / patchSize!));
  const coefficients = new Tensor(device, "f32", [patchSize!]);
  const losses = new Tensor(device, "f32", [rows!]);
  const loss = new Tensor(device, "f32", [1]);
  native.labelCoefficients(coefficients, labels, labelWeights);
  native.crossEntropy(losses, logits, labels, coefficients, gradient);
  native.sum(loss, losses, false);
  labelWeights.dispose();
  coefficients.dispose();
  return { loss, losses };
}

// ---- Of all ---------------------------------------------------------------------------------------------------

/** The shape of a tensor that must have so many dimensions, before outputs are made by it. */
function dimensions(operation: string, name: string, tensor: Tensor, rank: number): number[] {
  if (!(tensor instanceof Tensor)) throw new TypeError(`${operation}: ${name}: expected a Tensor`);
  const { shape } = tensor;
  if (shape.length === rank) return shape;
  throw new RangeError(`${operation}: ${name}: expected ${rank} dimensions but got [${shape.join(", ")}]`);
}

function flat(tensor: Tensor<"i32">): Tensor<"i32"> {
  return tensor.reshape([tensor.size]);
}

function zeros(like: Tensor, shape: readonly number[]): Tensor<"f32"> {
  const tensor = new Tensor(like.device, "f32", shape);
  native.fill(tensor, 0);
  return tensor;
}
