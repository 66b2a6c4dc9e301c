import { Arguments } from "../arguments.js";
import { labelWeightValues } from "../config/label_weights.js";
import { type Recompute, recomputeKinds } from "../config/recompute.js";
import { Tensor } from "../native.js";
import type { GradientOf } from "./gradients.js";
import { asIds } from "./ids.js";
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

/**
 * Forward and backward of a model over batches of one shape, for your own training loop. `Trainer` is the complete loop: stages, data, schedules, checkpoints.
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
  readonly #input: Tensor<"i32">;
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
    } = check.object("batch", batch);
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
    this.#input = new Tensor(device, "i32", [sequences * positions * patchSize]);
    this.#memory = new PassMemory(device, shape, passSpecs(device, shape, [cut], true));
    const gradientOf: GradientOf = (begin, size) => gradient.narrow(0, begin, size);
    this.#pass = new Pass(this.#memory, cut, modelWeights(parameters, gradientOf), shares, true);
  }

  /** f32 [1]: the loss of the last batch in nats per token, before any update. */
  get loss(): Tensor<"f32"> {
    return this.#pass.loss;
  }

  /**
   * Enqueues forward and backward of a batch: the loss is written, the gradient added to.
   * @param tokens B * T * K ids, sequence by sequence; the array may be changed after the call
   * @param options.accumulate also add the loss to that of the previous batches. Default false.
   * @throws TypeError or RangeError for a wrong argument; the next wait throws RangeError for an id outside the
   *   vocabulary
   */
  run(tokens: Int32Array | Uint32Array, options: { readonly accumulate?: boolean } = {}): void {
    const input = this.#input;
    const check = new Arguments("TrainingPass.run");
    if (input.disposed) check.fail(TypeError, "this", "a live pass", "a disposed one");
    const ids = asIds(check, "tokens", tokens);
    if (tokens.length !== input.size) {
      check.fail(RangeError, "tokens", `sequences * positions * patchSize = ${input.size} ids`, String(tokens.length));
    }
    const { accumulate = false } = check.object("options", options);
    check.boolean("accumulate", accumulate);
    input.write(ids);
    const adds = { loss: accumulate, gradient: true };
    this.#pass.forward(input, adds);
    this.#pass.backward(adds);
  }

  /** Frees the memory of the pass; model and gradient stay. */
  dispose(): void {
    this.#memory.dispose();
    this.#input.free();
  }

  /** `dispose()`, for `using`. */
  [Symbol.dispose](): void {
    this.dispose();
  }
}
