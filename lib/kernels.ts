/**
 * `nextpatch/kernels`: the three kernels of patch-level training by themselves, forward and backward, on your tensors.
 *
 * `dt` is f32 or bf16, the same for all tensors of a call marked so; sums, softmax and losses are in f32. Tensors are
 * row-major; those of attention may be strided views whose last dimension is contiguous, all others are contiguous.
 * Every call checks its arguments, enqueues its work on the device of its tensors and returns at once:
 * `await tensor.read()` or `await device.synchronize()` waits. Only a caller that is thousands of calls ahead of the device
 * waits in a call. The same inputs give the same bits.
 *
 * Results are new tensors, or those passed as `out`: what an earlier call returned, or other tensors of the same dtypes and
 * shapes that overlap no input. `dispose()` (or `using`) gives a tensor's memory to the next tensor at once,
 * even if work that was enqueued before still uses it, as the next tensor's work runs after that.
 *
 * A wrong argument throws `TypeError` (kind, dtype, device) or `RangeError` (shape, value) that names the operation,
 * the argument, what was expected and what was received; a failed allocation throws `OutOfMemoryError`. Only the kernel
 * sees an id outside the vocabulary: it counts as a row of zeros or as an ignored label, and the next wait rejects with
 * a `RangeError` that names it.
 */
import { Arguments, describe, list } from "./arguments.js";
import { labelWeightValues } from "./config/label_weights.js";
import { isHeadDim, limits } from "./limits.js";
import { native, Tensor } from "./native.js";

export { Device, type DeviceSpec } from "./device.js";
export { DeviceError, OutOfMemoryError } from "./errors.js";
export { type ArrayOf, type DType, type NumbersOf, Tensor } from "./native.js";

/** The dtypes that the kernels compute in. */
export type ComputeDType = "f32" | "bf16";
const computeDTypes = ["f32", "bf16"] as const satisfies readonly ComputeDType[];

// ---- Patch embedding ------------------------------------------------------------------------------------------

/**
 * The mean of the embeddings of every K consecutive tokens (arXiv 2407.12665), rounded once:
 * `out[n] = (1/K) * sum_j table[tokens[n*K + j]]`. With K = 1, an ordinary embedding.
 *
 * @param tokens i32 of any shape, N*K ids
 * @param table dt [V, C]
 * @param options.patchSize K
 * @param options.out dt [N, C] to write to; default: a new tensor
 * @returns dt [N, C]
 *
 * @example
 * ```ts
 * import { Device, patchEmbedding, Tensor } from "nextpatch/kernels";
 *
 * const device = Device.open("auto");
 * const table = new Tensor(device, "f32", [3, 2]); // 3 tokens, 2 channels
 * table.write(Float32Array.of(0, 0, 1, 10, 2, 20));
 * const tokens = new Tensor(device, "i32", [4]);
 * tokens.write(Int32Array.of(1, 2, 0, 1));
 * const patches = patchEmbedding(tokens, table, { patchSize: 2 });
 * console.log(await patches.read()); // 1.5, 15, 0.5, 5
 * ```
 */
export function patchEmbedding<D extends ComputeDType>(
  tokens: Tensor<"i32">,
  table: Tensor<D>,
  options: { patchSize: number; out?: Tensor<NoInfer<D>> },
): Tensor<D> {
  const check = new Arguments("patchEmbedding");
  check.tensor("tokens", tokens, { dtypes: ["i32"] });
  const [, cols] = check.tensor("table", table, { dtypes: computeDTypes, shape: ["V", "C"] });
  const { patchSize, out } = check.options("options", options, ["patchSize", "out"]);
  const divides = (k: number): boolean => Number.isInteger(k) && k >= 1 && tokens.size % k === 0;
  check.number("patchSize", patchSize, `a divisor of the ${tokens.size} tokens`, divides);
  const shape = [tokens.size / patchSize, cols!];
  if (out !== undefined) check.tensor("out", out, { dtypes: [table.dtype], shape });
  const written = out ?? new Tensor(table.device, table.dtype, shape);
  named(check, () => native.patchEmbeddingForward(written, flat(tokens), table, 1));
  return written;
}

export namespace patchEmbedding {
  /**
   * The gradient of `patchEmbedding` with respect to its table: every token's row receives `dout / K` of its patch,
   * summed in a fixed order and without float atomics.
   *
   * @param dout dt [N, C], the gradient with respect to `out`
   * @param tokens i32, the ids of the forward; K is their number over N
   * @param target `vocabulary`: V, for a new tensor; or `out`, f32 [V, C], to write the gradient to; or `dtable`,
   *   f32 [V, C], to add it to (if a head shares the table, or for further micro-batches)
   * @returns f32 [V, C]
   *
   * @example
   * ```ts
   * import { Device, patchEmbedding, Tensor } from "nextpatch/kernels";
   *
   * const device = Device.open("auto");
   * const tokens = new Tensor(device, "i32", [2]);
   * tokens.write(Int32Array.of(1, 2));
   * const dout = new Tensor(device, "f32", [1, 2]); // one patch of 2 tokens, 2 channels
   * dout.write(Float32Array.of(1, 10));
   * const dtable = patchEmbedding.backward(dout, tokens, { vocabulary: 3 });
   * console.log(await dtable.read()); // 0, 0, 0.5, 5, 0.5, 5
   * ```
   */
  export function backward(
    dout: Tensor<ComputeDType>,
    tokens: Tensor<"i32">,
    target: { vocabulary: number } | { out: Tensor<"f32"> } | { dtable: Tensor<"f32"> },
  ): Tensor<"f32"> {
    const check = new Arguments("patchEmbedding.backward");
    const [rows, cols] = check.tensor("dout", dout, { dtypes: computeDTypes, shape: ["N", "C"] });
    check.tensor("tokens", tokens, { dtypes: ["i32"] });
    if (tokens.size % rows! !== 0) {
      check.fail(RangeError, "tokens", `a multiple of the ${rows} rows of dout`, String(tokens.size));
    }
    const { dtable, out, vocabulary } = check.options("target", target, ["vocabulary", "out", "dtable"]) as {
      vocabulary?: number;
      out?: Tensor<"f32">;
      dtable?: Tensor<"f32">;
    };
    const pattern = { dtypes: ["f32"], shape: ["V", cols!] } as const;
    const given = Object.entries({ vocabulary, out, dtable }).flatMap(([name, one]) =>
      one === undefined ? [] : [name],
    );
    if (given.length > 1) check.fail(TypeError, "target", "one of vocabulary, out and dtable", given.join(" and "));
    if (dtable !== undefined) {
      check.tensor("dtable", dtable, pattern);
    } else if (out !== undefined) {
      check.tensor("out", out, pattern);
      checkApart(check, "out", out, { dout });
    }
    const sum = dtable ?? out ?? new Tensor(dout.device, "f32", [vocabularySize(check, vocabulary), cols!]);
    if (dtable === undefined) native.fill(sum, 0);
    const elements = native.patchEmbeddingBackwardWorkspace(dout.device, tokens.size, sum.shape[0]!);
    using workspace = new Tensor(dout.device, "i32", [elements]);
    named(check, () => native.patchEmbeddingBackward(sum, dout, flat(tokens), workspace, 1));
    return sum;
  }
}

// ---- Attention ------------------------------------------------------------------------------------------------

/** The result of `flashAttention`. */
export interface Attended<D extends ComputeDType = ComputeDType> {
  /** dt [B, Tq, H, D] */
  out: Tensor<D>;
  /** f32 [B, H, Tq]: the log of the sum of the exponentials of a query's scores. */
  lse: Tensor<"f32">;
}

/** The gradients of `flashAttention`, of the shapes of q, k and v. */
export interface AttentionGradients<D extends ComputeDType = ComputeDType> {
  dq: Tensor<D>;
  dk: Tensor<D>;
  dv: Tensor<D>;
}

/**
 * Causal grouped-query attention that never stores its scores (FlashAttention, arXiv 2205.14135 and 2307.08691):
 * `out = softmax(scale * q k^T + mask) v`, query head h reading key head `floor(h / (H/G))`. The mask is aligned at
 * the end: query i is at position p = i + Tk - Tq and sees keys j <= p, with a window only those with p - window < j. A
 * query without visible keys gives zeros and an `lse` of -Infinity.
 *
 * @param q dt [B, Tq, H, D], D one of 16, 32, 48, 64, 80, 96, 128 and 256
 * @param k dt [B, Tk, G, D], G a divisor of H
 * @param v dt [B, Tk, G, D]
 * @param options.scale factor on the scores; default 1/sqrt(D)
 * @param options.window how many keys a query sees, up to its own; default: all. What lies outside costs nothing
 * @param options.out the tensors to write to; default: new ones
 * @returns `out` dt [B, Tq, H, D], and `lse` f32 [B, H, Tq], the log of the sum of the exponentials of a query's scores
 *
 * @example
 * ```ts
 * import { Device, flashAttention, Tensor } from "nextpatch/kernels";
 *
 * const device = Device.open("auto");
 * const [q, k, v] = [8, 2, 2].map((heads) => {
 *   const tensor = new Tensor(device, "f32", [1, 128, heads, 64]);
 *   tensor.write(new Float32Array(tensor.size).fill(0.5));
 *   return tensor;
 * });
 * const { out } = flashAttention(q!, k!, v!, { window: 32 });
 * console.log(out.shape, await out.read()); // [1, 128, 8, 64]
 * ```
 */
export function flashAttention<D extends ComputeDType>(
  q: Tensor<D>,
  k: Tensor<NoInfer<D>>,
  v: Tensor<NoInfer<D>>,
  options: { scale?: number; window?: number; out?: Attended<NoInfer<D>> } = {},
): Attended<D> {
  const check = new Arguments("flashAttention");
  const { batch, queries, heads, headDim } = attentionSizes(check, q, k, v);
  const given = check.options("options", options, ["scale", "window", "out"]);
  const scale = attentionScale(check, given.scale, headDim);
  const window = attentionWindow(check, given.window);
  const lseShape = [batch, heads, queries];
  const results = given.out;
  if (results !== undefined) check.options("out", results, ["out", "lse"]);
  const { out, lse } = results ?? {
    out: new Tensor(q.device, q.dtype, q.shape),
    lse: new Tensor(q.device, "f32", lseShape),
  };
  if (results !== undefined) {
    check.tensor("out.out", out, { dtypes: [q.dtype], shape: q.shape, strided: true });
    check.tensor("out.lse", lse, { dtypes: ["f32"], shape: lseShape });
  }
  named(check, () => native.attentionForward(out, lse, q, k, v, scale, window), "out.");
  return { out, lse };
}

export namespace flashAttention {
  /**
   * The gradient of `flashAttention` with respect to its inputs; the scores are recomputed.
   *
   * @param dout dt [B, Tq, H, D], the gradient with respect to `out`
   * @param saved the inputs and results of the forward, with the `scale` and `window` it was given
   * @param options.out the tensors to write to; default: new ones
   * @returns gradients of the shapes of q, k and v
   *
   * @example
   * ```ts
   * import { Device, flashAttention, Tensor } from "nextpatch/kernels";
   *
   * const device = Device.open("auto");
   * const ones = () => {
   *   const tensor = new Tensor(device, "f32", [1, 16, 4, 32]);
   *   tensor.write(new Float32Array(tensor.size).fill(1));
   *   return tensor;
   * };
   * const [q, k, v, dout] = [ones(), ones(), ones(), ones()];
   * const { out, lse } = flashAttention(q, k, v);
   * const { dq, dk, dv } = flashAttention.backward(dout, { q, k, v, out, lse });
   * console.log(dq.shape, dk.shape, await dv.read());
   * ```
   */
  export function backward<D extends ComputeDType>(
    dout: Tensor<D>,
    saved: {
      q: Tensor<NoInfer<D>>;
      k: Tensor<NoInfer<D>>;
      v: Tensor<NoInfer<D>>;
      out: Tensor<NoInfer<D>>;
      lse: Tensor<"f32">;
      scale?: number;
      window?: number;
    },
    options: { out?: AttentionGradients<NoInfer<D>> } = {},
  ): AttentionGradients<D> {
    const check = new Arguments("flashAttention.backward");
    const { q, k, v, out, lse } = check.options("saved", saved, ["q", "k", "v", "out", "lse", "scale", "window"]);
    const { batch, queries, keys, heads, kvHeads, headDim } = attentionSizes(check, q, k, v);
    const results = { dtypes: [q.dtype], shape: [batch, queries, heads, headDim], strided: true };
    check.tensor("dout", dout, results);
    check.tensor("out", out, results);
    check.tensor("lse", lse, { dtypes: ["f32"], shape: [batch, heads, queries] });
    const scale = attentionScale(check, saved.scale, headDim);
    const window = attentionWindow(check, saved.window);
    const gradients = check.options("options", options, ["out"]).out;
    if (gradients !== undefined) check.options("out", gradients, ["dq", "dk", "dv"]);
    const like = (input: Tensor<D>): Tensor<D> => new Tensor(input.device, input.dtype, input.shape);
    const { dq, dk, dv } = gradients ?? { dq: like(q), dk: like(k), dv: like(v) };
    if (gradients !== undefined) {
      check.tensor("out.dq", dq, { dtypes: [q.dtype], shape: q.shape, strided: true });
      check.tensor("out.dk", dk, { dtypes: [q.dtype], shape: k.shape, strided: true });
      check.tensor("out.dv", dv, { dtypes: [q.dtype], shape: v.shape, strided: true });
    }
    const elements = native.attentionBackwardWorkspace(q.device, batch, queries, keys, heads, kvHeads, headDim);
    using workspace = new Tensor(q.device, "f32", [elements]);
    const run = () => native.attentionBackward(dq, dk, dv, dout, q, k, v, out, lse, workspace, null, scale, window);
    named(check, run, "out.");
    return { dq, dk, dv };
  }
}

interface AttentionSizes {
  batch: number;
  queries: number;
  keys: number;
  heads: number;
  kvHeads: number;
  headDim: number;
}

function attentionSizes(check: Arguments, q: Tensor, k: Tensor, v: Tensor): AttentionSizes {
  const pattern = { dtypes: computeDTypes, shape: ["B", "Tq", "H", "D"], strided: true };
  const [batch, queries, heads, headDim] = check.tensor("q", q, pattern) as [number, number, number, number];
  if (!isHeadDim(headDim)) {
    check.fail(RangeError, "q", `a head dimension of ${limits.headDims.join(", ")}`, list(q.shape));
  }
  const dtypes = [q.dtype];
  const kPattern = { dtypes, shape: [batch, "Tk", "G", headDim], strided: true };
  const [, keys, kvHeads] = check.tensor("k", k, kPattern) as [number, number, number, number];
  if (heads % kvHeads !== 0) {
    check.fail(RangeError, "k", `a number of heads that divides the ${heads} of q`, list(k.shape));
  }
  check.tensor("v", v, { dtypes, shape: [batch, keys, kvHeads, headDim], strided: true });
  return { batch, queries, keys, heads, kvHeads, headDim };
}

function attentionScale(check: Arguments, scale: number | undefined, headDim: number): number {
  if (scale === undefined) return 1 / Math.sqrt(headDim);
  return check.number("scale", scale, "a number from -1000000 to 1000000", (value) => Math.abs(value) <= 1e6);
}

function attentionWindow(check: Arguments, window: number | undefined): number {
  if (window === undefined) return 0;
  const valid = (value: number): boolean => Number.isInteger(value) && value >= 1 && value <= limits.maxElements;
  return check.number("window", window, `a whole number from 1 to ${limits.maxElements}`, valid);
}

// ---- Cross-entropy --------------------------------------------------------------------------------------------

/** The result of `patchCrossEntropy`. */
export interface PatchLoss {
  /** f32 [1]: the loss in nats. */
  loss: Tensor<"f32">;
  /** f32 [N]: each row's contribution to it. */
  losses: Tensor<"f32">;
}

/** The options of `patchCrossEntropy` and its backward. */
export interface PatchLossOptions {
  /** K numbers; default 1/K each. */
  weights?: ArrayLike<number>;
  /** The tensors to write to; default: new ones. */
  out?: PatchLoss;
}

/**
 * The next-patch loss (arXiv 2407.12665): each row's one distribution is compared with the K tokens of the next patch,
 * `loss = sum_j w_j * mean_n -log softmax(logits[n])[labels[n, j]]`. For each j the mean is over the rows whose label
 * is not -100 (no label). Labels may repeat. With K = 1, the ordinary cross-entropy.
 *
 * @param logits dt [N, V]
 * @param labels i32 [N, K]
 *
 * @example
 * ```ts
 * import { Device, patchCrossEntropy, Tensor } from "nextpatch/kernels";
 *
 * const device = Device.open("auto");
 * const logits = new Tensor(device, "f32", [2, 100]); // 2 patches, 100 tokens in the vocabulary
 * logits.write(new Float32Array(logits.size));
 * const labels = new Tensor(device, "i32", [2, 4]); // the 4 tokens that come after each
 * labels.write(Int32Array.of(7, 8, 9, 9, -100, -100, -100, -100));
 * const { loss } = patchCrossEntropy(logits, labels);
 * console.log(await loss.read()); // ln 100: all tokens are as likely
 * ```
 */
export function patchCrossEntropy(
  logits: Tensor<ComputeDType>,
  labels: Tensor<"i32">,
  options: PatchLossOptions = {},
): PatchLoss {
  return nextPatchLoss("patchCrossEntropy", logits, labels, options, false);
}

export namespace patchCrossEntropy {
  /**
   * The loss and its gradient with respect to the logits, in one pass over memory. **The gradient overwrites the
   * logits**: `dlogits` is the tensor `logits` itself.
   *
   * @param logits dt [N, V], overwritten
   * @param labels as in the forward
   * @param options as in the forward
   * @returns the loss as from the forward, which need not be called first, and `dlogits` dt [N, V]
   *
   * @example
   * ```ts
   * import { Device, patchCrossEntropy, Tensor } from "nextpatch/kernels";
   *
   * const device = Device.open("auto");
   * const logits = new Tensor(device, "f32", [1, 100]);
   * logits.write(new Float32Array(logits.size));
   * const labels = new Tensor(device, "i32", [1, 2]);
   * labels.write(Int32Array.of(7, 8));
   * const { dlogits } = patchCrossEntropy.backward(logits, labels);
   * const gradient = await dlogits.read();
   * console.log(gradient[7], gradient[0]); // 1/100 - 1/2, 1/100
   * ```
   */
  export function backward<D extends ComputeDType>(
    logits: Tensor<D>,
    labels: Tensor<"i32">,
    options: PatchLossOptions = {},
  ): PatchLoss & { dlogits: Tensor<D> } {
    const { loss, losses } = nextPatchLoss("patchCrossEntropy.backward", logits, labels, options, true);
    return { loss, losses, dlogits: logits };
  }
}

function nextPatchLoss(
  operation: string,
  logits: Tensor,
  labels: Tensor,
  options: PatchLossOptions,
  gradient: boolean,
): PatchLoss {
  const check = new Arguments(operation);
  const [rows] = check.tensor("logits", logits, { dtypes: computeDTypes, shape: ["N", "V"] });
  const [, patchSize] = check.tensor("labels", labels, { dtypes: ["i32"], shape: [rows!, "K"] });
  const given = check.options("options", options, ["weights", "out"]);
  const weights = weightValues(check, given.weights, patchSize!);
  const results = given.out;
  if (results !== undefined) check.options("out", results, ["loss", "losses"]);
  const { device } = logits;
  const { loss, losses } = results ?? {
    loss: new Tensor(device, "f32", [1]),
    losses: new Tensor(device, "f32", [rows!]),
  };
  if (results !== undefined) {
    check.tensor("out.loss", loss, { dtypes: ["f32"], shape: [1] });
    check.tensor("out.losses", losses, { dtypes: ["f32"], shape: [rows!] });
    checkApart(check, "out.loss", loss, { logits, losses });
    checkApart(check, "out.losses", losses, { logits });
  }
  using labelWeights = new Tensor(device, "f32", [patchSize!]);
  labelWeights.write(weights);
  using coefficients = new Tensor(device, "f32", [patchSize!]);
  native.labelCoefficients(coefficients, labels, labelWeights);
  native.crossEntropy(losses, logits, labels, coefficients, gradient);
  native.sum(loss, losses, false);
  return { loss, losses };
}

function weightValues(check: Arguments, weights: ArrayLike<number> | undefined, count: number): Float32Array {
  if (weights === undefined) return Float32Array.from(labelWeightValues("uniform", count));
  const expected = `${count} numbers (one a label of a row)`;
  if (typeof weights !== "object" || weights === null || typeof weights.length !== "number") {
    return check.fail(TypeError, "weights", expected, describe(weights));
  }
  if (weights.length !== count) check.fail(RangeError, "weights", expected, String(weights.length));
  const finite = (value: number): boolean => Number.isFinite(Math.fround(value));
  return Float32Array.from(weights, (weight, i) => check.number(`weights[${i}]`, weight, "a finite number", finite));
}

// ---- Shared ---------------------------------------------------------------------------------------------------

function vocabularySize(check: Arguments, vocabulary: number | undefined): number {
  const largest = 2 ** 31 - 1; // ids are i32
  return check.wholeNumber("vocabulary", vocabulary, 1, largest);
}

/**
 * Errors of the addon's operation, such as of an `out` that overlaps an input, as those of the function called.
 * @param of where the caller has what the operation writes to
 */
function named({ operation }: Arguments, run: () => void, of = ""): void {
  try {
    run();
  } catch (error) {
    if (error instanceof TypeError || error instanceof RangeError) {
      error.message = error.message.replace(/^\w+: /, `${operation}: ${of}`);
    }
    throw error;
  }
}

/** The same check as the addon's, for operations that would notice after others have written. */
function checkApart(check: Arguments, name: string, written: Tensor, others: Readonly<Record<string, Tensor>>): void {
  for (const [other, tensor] of Object.entries(others)) {
    if (!native.overlap(written, tensor)) continue;
    const received = `a tensor of shape ${list(written.shape)} that overlaps it`;
    check.fail(RangeError, name, `memory apart from that of ${other}`, received);
  }
}

function flat(tensor: Tensor<"i32">): Tensor<"i32"> {
  return tensor.reshape([tensor.size]);
}
