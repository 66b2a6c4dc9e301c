import { native, type Tensor } from "../native.js";
import { type Allocated, Spec } from "./buffers.js";
import type { Linear } from "./linear.js";
import type { Batch, PassShape } from "./shape.js";

/**
 * The logits of all positions would be the largest tensor of a model (N x V), so they are computed and consumed a chunk
 * of rows at a time. A chunk of this many bytes fits a CPU's cache, or keeps a GPU busy.
 */
const chunkBytes = { cpu: 4 << 20, simt: 1 << 20, cuda: 512 << 20 } as const;

/** Rows of logits in a chunk. */
export function chunkRows({ config, dtype, positions }: PassShape, backend: keyof typeof chunkBytes): number {
  const rowBytes = config.vocab_size * (dtype === "bf16" ? 2 : 4);
  const rows = Math.floor(chunkBytes[backend] / rowBytes / 64) * 64;
  return Math.min(positions, Math.max(rows, 64));
}

/** Whether a pass adds its loss, and its gradient of products, to what is there; else they are written. */
export interface Adds {
  readonly loss: boolean;
  readonly gradient: boolean;
}

/** @param patchSize the largest K of all passes that share these buffers */
export function lossHeadSpecs(shape: PassShape, rows: number, patchSize: number) {
  return {
    logits: new Spec(shape.dtype, [rows, shape.config.vocab_size]),
    labels: new Spec("i32", [shape.positions * patchSize]),
    coefficients: new Spec("f32", [patchSize]),
    losses: new Spec("f32", [shape.positions]),
    loss: new Spec("f32", [1]),
  };
}

interface Chunk {
  readonly hidden: Tensor;
  readonly dhidden: Tensor | null;
  readonly logits: Tensor;
  readonly labels: Tensor;
  readonly losses: Tensor;
}

/**
 * The head and the K-way next-patch loss (docs/method.md): position t's one distribution predicts all K tokens of the
 * next patch. The gradient is computed in the same sweep as the loss, chunk by chunk, so the full logits are never in
 * memory; the head's gradient accumulates in fp32 over the chunks.
 */
export class LossHead {
  readonly #chunks: readonly Chunk[];
  readonly #labels: Tensor;
  readonly #coefficients: Tensor<"f32">;
  readonly #losses: Tensor;

  /**
   * @param hidden dt [N, C], the transformer's normalised output
   * @param dhidden dt [N, C], receives its gradient; null: compute only the loss
   * @param tokens i32 [N * K]
   * @param labelWeights f32 [K]; their sum is this pass's share of the loss
   */
  constructor(
    private readonly batch: Batch,
    private readonly head: Linear,
    private readonly buffers: Allocated<ReturnType<typeof lossHeadSpecs>>,
    hidden: Tensor,
    dhidden: Tensor | null,
    private readonly tokens: Tensor,
    private readonly labelWeights: Tensor<"f32">,
  ) {
    const patchSize = batch.patchSize;
    const total = batch.sequences * batch.positions;
    const rows = buffers.logits.shape[0]!;
    this.#labels = buffers.labels.narrow(0, 0, total * patchSize).reshape([total, patchSize]);
    this.#coefficients = buffers.coefficients.narrow(0, 0, patchSize);
    this.#chunks = Array.from({ length: Math.ceil(total / rows) }, (_, index) => {
      const start = index * rows;
      const length = Math.min(rows, total - start);
      const part = (tensor: Tensor) => tensor.narrow(0, start, length);
      return {
        hidden: part(hidden),
        dhidden: dhidden && part(dhidden),
        logits: buffers.logits.narrow(0, 0, length),
        labels: part(this.#labels),
        losses: part(buffers.losses),
      };
    });
    this.#losses = buffers.losses.narrow(0, 0, total);
  }

  /** f32 [1]: the loss in nats per token, summed over the passes since the last one that did not accumulate. */
  get loss(): Tensor<"f32"> {
    return this.buffers.loss;
  }

  /** f32 [K]: the weight of each label in the loss, for a forward whose labels are given. */
  get coefficients(): Tensor<"f32"> {
    return this.#coefficients;
  }

  /**
   * The loss and, if `dhidden` was given, the gradients of the hidden states and of the head's weight.
   * @param labels i32 [N * K], the tokens as labels, of which some may be ignored; then `coefficients` have been written.
   *   Null: all tokens count
   */
  forward(adds: Adds, labels: Tensor<"i32"> | null): void {
    native.patchLabels(this.#labels, labels ?? this.tokens, this.batch.positions);
    if (labels === null) native.labelCoefficients(this.#coefficients, this.#labels, this.labelWeights);
    for (const [index, { hidden, dhidden, logits, labels: own, losses }] of this.#chunks.entries()) {
      this.head.forward(logits, hidden);
      native.crossEntropy(losses, logits, own, this.#coefficients, dhidden !== null);
      if (dhidden) {
        this.head.backward(dhidden, logits, hidden, { weight: adds.gradient || index > 0, input: false }, null);
      }
    }
    native.sum(this.buffers.loss, this.#losses, adds.loss);
  }
}
