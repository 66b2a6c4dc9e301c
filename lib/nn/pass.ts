import { native, type Tensor } from "../native.js";
import { reuse } from "./buffers.js";
import { scaledCoefficients } from "./label_mask.js";
import { type Adds, LossHead } from "./loss_head.js";
import { type PassMemory, passSpecs } from "./pass_memory.js";
import type { Batch } from "./shape.js";
import { Transformer } from "./transformer.js";
import { unwatched } from "./watch.js";
import type { ModelWeights } from "./weights.js";

/** One forward (and backward) over a micro-batch, set up once over memory shared with other passes. */
export class Pass {
  readonly #tokens: Tensor<"i32">;
  readonly #transformer: Transformer;
  readonly #head: LossHead;

  /**
   * @param memory allocated for this batch, among others
   * @param labelWeights K weights; their sum is this pass's share of a step's loss
   * @param training whether `backward` will be called
   */
  constructor(
    memory: PassMemory,
    private readonly batch: Batch,
    weights: ModelWeights,
    private readonly labelWeights: readonly number[],
    training: boolean,
  ) {
    const { device, shape, rotary } = memory;
    const own = { ...shape, positions: batch.sequences * batch.positions };
    const buffers = reuse(memory.buffers, passSpecs(device, own, [batch], training));
    const { tokens, head, scratch, embeddingWorkspace } = buffers;
    this.#tokens = tokens;
    const parts = {
      buffers,
      rotary,
      tokens,
      training: scratch && embeddingWorkspace && { scratch, embeddingWorkspace },
      caches: null,
    };
    this.#transformer = new Transformer(shape.config, batch, weights, parts, shape.recompute);
    const dhidden = scratch?.dnormed ?? null;
    const { out } = this.#transformer;
    this.#head = new LossHead(batch, weights.head, head, out, dhidden, tokens, memory.labelWeights(labelWeights));
  }

  /** f32 [1]: the loss in nats per token. */
  get loss(): Tensor<"f32"> {
    return this.#head.loss;
  }

  /**
   * Says what labels weigh in forwards whose labels are given, up to the next pass over the same memory that says it, or
   * whose labels all count.
   * @param scale of `countLabels`, for all passes whose losses are added up
   * @param labelWeights K weights in place of the pass's own
   */
  weigh(scale: number, labelWeights = this.labelWeights): void {
    this.#head.coefficients.write(scaledCoefficients(labelWeights, this.batch, scale));
  }

  /**
   * The loss of a micro-batch.
   * @param tokens i32 [sequences * positions * patchSize], on the device
   * @param adds what is added to that of previous passes
   * @param labels i32, as many: the tokens as labels (`labelIds`), after `weigh`; null: all count
   */
  forward(tokens: Tensor<"i32">, adds: Adds, watch = unwatched, labels: Tensor<"i32"> | null = null): void {
    native.copy(this.#tokens, tokens);
    this.#transformer.forward(0, watch);
    watch.reads("head");
    watch.begins("head");
    this.#head.forward(adds, labels);
    watch.completes("head");
    watch.lap("head");
  }

  /** The micro-batch's gradient. `adds` is that of `forward`. */
  backward(adds: Adds, watch = unwatched): void {
    this.#transformer.backward(adds.gradient, watch);
  }
}
