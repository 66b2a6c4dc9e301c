import { types } from "node:util";
import { Arguments, describe } from "../arguments.js";
import { labelWeightValues } from "../config/label_weights.js";
import { type Recompute, recomputeKinds } from "../config/recompute.js";
import { Tensor } from "../native.js";
import type { GradientOf } from "./gradients.js";
import { asIds } from "./ids.js";
import { allLabels, countLabels, labelIds } from "./label_mask.js";
import { checkModel, type Llama } from "./llama.js";
import { Pass } from "./pass.js";
import { PassMemory, passSpecs } from "./pass_memory.js";
import type { Batch } from "./shape.js";
import { modelWeights } from "./weights.js";

/** How a batch of tokens is cut, and its weight. */
export interface TrainingBatch extends Batch {
  /** Weights of the K labels of a patch; 1/K each if left out. */
  readonly labelWeights?: readonly number[];
  /** The batch's weight in loss and gradient: 1/n if a step sums n batches. Default 1. */
  readonly share?: number;
  /** What the backward computes again, to keep less: `none` (default), `elementwise` or `block`. The bits are the same. */
  readonly recompute?: Recompute;
}

/** What of a batch counts, and what its loss is added to. */
export interface TrainingRunOptions {
  /** Also add the loss to that of the previous batches. Default false. */
  readonly accumulate?: boolean;
  /**
   * Which tokens count in the loss, as labels: a byte for each of the B * T * K tokens, 1: it counts, 0: it does not.
   * Every token is read all the same. Default: all count.
   */
  readonly mask?: Uint8Array;
  /**
   * With a mask: the labels that count in all batches of the step (`countLabels`), over which the loss is then a mean;
   * `share` has no part in it. 0 makes loss and gradient 0. Default: those of this batch, whose mean is weighted by `share`.
   */
  readonly labels?: number;
}

/**
 * Forward and backward of a model over batches of one shape, for your own training loop. `Trainer` is the complete loop:
 * stages, data, schedules, checkpoints.
 *
 * @example
 * ```ts
 * import { AdamW, Llama, presets, TrainingPass } from "nextpatch";
 *
 * using model = Llama.create({ ...presets.tiny, vocab_size: 4096 }, { seed: 1 });
 * using optimizer = new AdamW(model.parameters);
 * using pass = new TrainingPass(model, optimizer.gradient, { sequences: 2, positions: 16, patchSize: 4 });
 * for (let step = 0; step < 3; step++) {
 *   optimizer.zeroGradient();
 *   pass.run(Int32Array.from({ length: 2 * 16 * 4 }, (_, i) => i % 97)); // 2 sequences of 16 patches of 4 tokens
 *   optimizer.step(1e-3);
 *   const [loss] = await pass.loss.read(); // waits for the step
 *   console.log(loss);
 * }
 * ```
 */
export class TrainingPass {
  readonly #cut: Batch;
  readonly #labelWeights: readonly number[];
  readonly #input: Tensor<"i32">;
  /** The tokens as labels, once a mask has been given. */
  #labels: Tensor<"i32"> | null = null;
  readonly #memory: PassMemory;
  readonly #pass: Pass;

  /**
   * Allocates activations and workspaces; a pass of another shape allocates its own.
   * @param gradient f32 [P], flat, to which gradients are added: that of an `AdamW` on the model's parameters
   * @param batch the shape of every batch: B sequences of T positions (from 2 to the model's context) of K tokens
   * @throws TypeError or RangeError for a wrong argument, OutOfMemoryError
   */
  constructor(model: Llama, gradient: Tensor<"f32">, batch: TrainingBatch) {
    const check = new Arguments("TrainingPass");
    checkModel(check, model);
    const { config, device, parameters } = model;
    check.tensor("model", parameters.master, { dtypes: ["f32"] });
    check.tensor("gradient", gradient, { dtypes: ["f32"], shape: [parameters.layout.size] });
    const {
      sequences,
      positions,
      patchSize,
      share = 1,
      labelWeights,
      recompute = "none",
    } = check.options("batch", batch, ["sequences", "positions", "patchSize", "share", "labelWeights", "recompute"]);
    check.wholeNumber("sequences", sequences, 1, 2 ** 31 - 1);
    check.wholeNumber("positions", positions, 2, config.max_position_embeddings);
    check.wholeNumber("patchSize", patchSize, 1, 2 ** 31 - 1);
    check.number("share", share, "a finite number", Number.isFinite);
    check.oneOf("recompute", recompute, recomputeKinds);
    const weights =
      labelWeights === undefined
        ? labelWeightValues("uniform", patchSize)
        : check.numbers("labelWeights", labelWeights, "a finite number", Number.isFinite);
    if (weights.length !== patchSize) {
      check.fail(RangeError, "labelWeights", `${patchSize} numbers (one a label of a patch)`, String(weights.length));
    }
    const cut = { sequences, positions, patchSize };
    const shape = { config, dtype: parameters.dtype, positions: sequences * positions, recompute };
    const shares = weights.map((weight) => weight * share);
    this.#cut = cut;
    this.#labelWeights = weights;
    const gradientOf: GradientOf = (begin, size) => gradient.narrow(0, begin, size);
    this.#input = new Tensor(device, "i32", [sequences * positions * patchSize]);
    try {
      this.#memory = new PassMemory(device, shape, passSpecs(device, shape, [cut], true));
      this.#pass = new Pass(this.#memory, cut, modelWeights(parameters, gradientOf), shares, true);
    } catch (error) {
      this.dispose();
      throw error;
    }
  }

  /** f32 [1]: the loss of the last batch in nats per token, before any update. */
  get loss(): Tensor<"f32"> {
    return this.#pass.loss;
  }

  /**
   * How many labels of a batch count in the loss. The first K tokens of a sequence are no labels.
   * @param mask a byte for each of the B * T * K tokens, 1: it counts, 0: it does not
   * @throws TypeError or RangeError for a wrong argument
   */
  countLabels(mask: Uint8Array): number {
    this.#checkMask(new Arguments("TrainingPass.countLabels"), mask);
    return countLabels(mask, this.#cut).labels;
  }

  /**
   * Enqueues forward and backward of a batch: the loss is written, the gradient added to.
   *
   * With a mask the loss is the mean over the labels that count. Where a step sums several batches, `labels` makes it one
   * over the labels of the whole step, however they are spread over its batches:
   *
   *     const labels = masks.reduce((sum, mask) => sum + pass.countLabels(mask), 0);
   *     batches.forEach((tokens, i) => pass.run(tokens, { mask: masks[i]!, labels, accumulate: i > 0 }));
   *
   * @param tokens B * T * K ids, sequence by sequence; the array may be changed after the call
   * @throws TypeError or RangeError for a wrong argument; OutOfMemoryError with the first mask, which takes as much memory
   *   as the tokens; the next wait throws RangeError for an id outside the vocabulary
   */
  run(tokens: Int32Array | Uint32Array, options: TrainingRunOptions = {}): void {
    const input = this.#input;
    const check = new Arguments("TrainingPass.run");
    this.#checkLive(check);
    const ids = asIds(check, "tokens", tokens);
    if (tokens.length !== input.size) {
      check.fail(RangeError, "tokens", `sequences * positions * patchSize = ${input.size} ids`, String(tokens.length));
    }
    const { accumulate = false, mask, labels } = check.options("options", options, ["accumulate", "mask", "labels"]);
    check.boolean("accumulate", accumulate);
    if (mask !== undefined) this.#checkMask(check, mask);
    if (labels !== undefined) {
      if (mask === undefined) check.fail(RangeError, "labels", "nothing without a mask", String(labels));
      const { labels: own } = countLabels(mask!, this.#cut);
      const isOfAll = (count: number) => Number.isSafeInteger(count) && count >= own;
      check.number("labels", labels, `the step's number of labels, at least the ${own} of this batch,`, isOfAll);
    }
    const masked = mask === undefined ? null : this.#writeLabels(ids, mask, labels);
    input.write(ids);
    const adds = { loss: accumulate, gradient: true };
    this.#pass.forward(input, adds, undefined, masked);
    this.#pass.backward(adds);
  }

  /** @param labels of the step; undefined: those of this batch, of which the step's loss has its share */
  #writeLabels(ids: Int32Array, mask: Uint8Array, labels: number | undefined): Tensor<"i32"> {
    this.#labels ??= new Tensor(this.#input.device, "i32", [this.#input.size]);
    if (labels === undefined) this.#pass.weigh(countLabels(mask, this.#cut).scale);
    else this.#pass.weigh(labels === 0 ? 0 : allLabels(this.#cut) / labels, this.#labelWeights);
    this.#labels.write(labelIds(ids, mask));
    return this.#labels;
  }

  #checkLive(check: Arguments): void {
    if (this.#input.disposed) check.fail(TypeError, "this", "a live pass", "a disposed one");
  }

  #checkMask(check: Arguments, mask: Uint8Array): void {
    this.#checkLive(check);
    if (!types.isUint8Array(mask)) check.fail(TypeError, "mask", "a Uint8Array", describe(mask));
    if (mask.length !== this.#input.size) {
      const expected = `sequences * positions * patchSize = ${this.#input.size} bytes`;
      check.fail(RangeError, "mask", expected, String(mask.length));
    }
    const other = mask.findIndex((byte) => byte > 1);
    if (other !== -1) check.fail(RangeError, `mask[${other}]`, "0 or 1", String(mask[other]));
  }

  /** Frees the memory of the pass; model and gradient stay. */
  dispose(): void {
    this.#memory?.dispose();
    this.#input.free();
    this.#labels?.free();
  }

  /** `dispose()`, for `using`. */
  [Symbol.dispose](): void {
    this.dispose();
  }
}
