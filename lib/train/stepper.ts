import type { OptimizerConfig } from "../config/config.js";
import type { ResolvedStage } from "../config/stages.js";
import { native, type Tensor } from "../native.js";
import { BlockLoss } from "../nn/block_loss.js";
import { type Allocated, allocate, disposeAll } from "../nn/buffers.js";
import type { Exchange } from "../nn/exchange.js";
import { stepFlops } from "../nn/flops.js";
import { countLabels, labelIds } from "../nn/label_mask.js";
import type { Llama } from "../nn/llama.js";
import { Pass } from "../nn/pass.js";
import { PassMemory } from "../nn/pass_memory.js";
import type { Batch } from "../nn/shape.js";
import { unwatched } from "../nn/watch.js";
import { addedGradients, modelWeights } from "../nn/weights.js";
import { AdamW } from "../optim/adamw.js";
import { createOptimizer, type Optimizer, optimizerFlops, prepareStep } from "../optim/optimizer.js";
import type { GuardLimits } from "./guard.js";
import type { HeldOut } from "./held_out.js";
import type { RunPlan } from "./memory_plan.js";
import type { PartSeconds } from "./step_clock.js";
import { StepGraph } from "./step_graph.js";
import { type MicroBatch, StepTokens } from "./step_tokens.js";

/** The objects of one stage's steps. */
interface StageStep {
  readonly optimizer: OptimizerConfig;
  readonly pass: Pass;
  /** The sequences of a step, of all ranks. */
  readonly batch: Batch;
  /** The step's tokens on the device, a view for each micro-batch. */
  readonly microBatches: readonly MicroBatch[];
  readonly graph: StepGraph;
}

/** The result of one step. */
export interface StepResult {
  /** Before the update, in nats per token. */
  readonly loss: number;
  /** Before clipping. */
  readonly gradNorm: number;
  /** Whether the parameters are as before: the gradient was not finite, or a limit was exceeded. */
  readonly skipped: boolean;
  /** Labels that counted, of all ranks; null: all did. */
  readonly labels: number | null;
  /** The device's time by part. */
  readonly seconds: PartSeconds | null;
}

/** Complete training steps of every stage of a plan, over memory that the constructor allocates once. */
export class Stepper {
  readonly optimizer: Optimizer;
  readonly #memory: PassMemory;
  readonly #buffers: Allocated<RunPlan["tokens"]>;
  readonly #tokens: StepTokens;
  readonly #stages: readonly StageStep[] = [];
  /** What the ranks exchange; null: there is one. */
  readonly #exchange: Exchange | null;
  /** Whether an update has changed this rank's part of the weights, and the others' are those of before. */
  #apart = false;
  /** What of the gradient a step's first micro-batch adds to; the rest it writes. */
  readonly #added: readonly Tensor<"f32">[];
  /** Whether the run has held-out sequences. */
  readonly #evaluates: boolean;
  /** Null: this rank has none of them. */
  readonly #evaluation: BlockLoss | null = null;
  readonly #guard: Allocated<RunPlan["guard"]>;

  /** @throws OutOfMemoryError */
  constructor(
    private readonly model: Llama,
    private readonly plan: RunPlan,
    stages: readonly ResolvedStage[],
    heldOut: HeldOut | null,
  ) {
    const { device, parameters } = model;
    const { share } = plan.sharding;
    this.#evaluates = heldOut !== null;
    this.optimizer = createOptimizer(parameters, plan.optimizer);
    const { gradient } = this.optimizer;
    const gradients = this.optimizer instanceof AdamW ? this.optimizer.gradients : null;
    this.#exchange = this.optimizer instanceof AdamW ? this.optimizer.exchange : null;
    this.#added = gradients?.staged ? [] : addedGradients(parameters, gradient);
    try {
      this.#memory = new PassMemory(device, plan.shape, plan.passes);
      this.#buffers = allocate(device, plan.tokens);
      this.#guard = allocate(device, plan.guard);
      this.#tokens = new StepTokens(this.#buffers.step, share, plan.masked);
      const weights = modelWeights(parameters, gradients?.of ?? ((begin, size) => gradient.narrow(0, begin, size)));
      this.#stages = stages.map(({ sequencesPerStep, labelWeights, optimizer }, index) => {
        const batch = plan.batches[index]!;
        const count = sequencesPerStep / share.size / batch.sequences;
        const shares = labelWeights.map((weight) => weight / (count * share.size));
        return {
          optimizer,
          batch: { ...batch, sequences: sequencesPerStep },
          pass: new Pass(this.#memory, batch, weights, shares, true),
          microBatches: this.#tokens.microBatches(count, batch.sequences * batch.positions * batch.patchSize),
          graph: new StepGraph(device),
        };
      });
      const { evaluation: held } = this.#buffers;
      if (heldOut === null || held === null || plan.evaluation === null) return;
      held.tokens.write(heldOut.tokens);
      const labels = held.labels && heldOut.mask && { ids: held.labels, scale: heldOut.mask.scale };
      labels?.ids.write(labelIds(heldOut.tokens, heldOut.mask!.bytes));
      const { blocks, perPass } = plan.evaluation;
      this.#evaluation = new BlockLoss(this.#memory, weights, blocks, perPass, held.tokens, heldOut.of, labels);
    } catch (error) {
      this.dispose();
      throw error;
    }
  }

  /** Floating-point operations of one step of a stage, forward and backward. */
  flopsPerStep(stage: ResolvedStage): number {
    return stepFlops(this.model.config, stage);
  }

  /** Those of its optimizer's matrix products. */
  optimizerFlopsPerStep({ optimizer }: ResolvedStage): number {
    return optimizerFlops(this.model.config, optimizer);
  }

  /**
   * One training step, of all ranks together. If the gradient is not finite, or a limit is exceeded, the parameters are
   * unchanged.
   * @param tokens the step's tokens, sequence by sequence
   * @param learningRate optimizer.lr as the schedule has scaled it
   * @param next the next step's tokens, if known: they are transferred to the device while this step runs. A hint only:
   *   the next step may use other tokens, or the promise may reject.
   * @param limits of a plan with a guard; null: there are none
   * @param maskOf of a masked plan: the loss mask of a step's tokens, a byte each, 1: it counts; null: all count
   */
  async step(
    stageIndex: number,
    tokens: Int32Array,
    learningRate: number,
    next: Promise<Int32Array> | null = null,
    limits: GuardLimits | null = null,
    maskOf: (tokens: Int32Array) => Uint8Array | null = () => null,
  ): Promise<StepResult> {
    const stage = this.#stages[stageIndex]!;
    const guard = this.#guard;
    const exchange = this.#exchange;
    const { loss: mostLoss, norm: mostNorm } = limits ?? { loss: Infinity, norm: Infinity };
    guard?.limits.write(Float32Array.of(mostLoss, mostNorm));
    const mask = this.plan.masked ? maskOf(tokens) : null;
    const counted = mask && countLabels(mask, stage.batch);
    if (this.plan.masked) stage.pass.weigh(counted?.scale ?? 1);
    this.#tokens.send(tokens, mask);
    prepareStep(this.optimizer, learningRate, stage.optimizer);
    const last = stage.microBatches.length - 1;
    const clock = stage.graph.run((lap) => {
      exchange?.begin(lap);
      for (const gradient of this.#added) native.fill(gradient, 0);
      lap("optimizer");
      stage.microBatches.forEach(({ tokens: microBatch, labels }, index) => {
        const adds = { loss: index > 0, gradient: index > 0 };
        const watch = exchange?.watch(index === 0, index === last) ?? { ...unwatched, lap };
        stage.pass.forward(microBatch, adds, watch, labels);
        stage.pass.backward(adds, watch);
      });
      this.optimizer.applyStep((norm) => {
        exchange?.wait(() => native.allReduce(stage.pass.loss));
        if (guard !== null) native.guardNorm(guard.measured, norm, stage.pass.loss, guard.limits);
      });
      lap("optimizer");
    });
    this.#apart = exchange !== null;
    this.#tokens.sendAhead(next, maskOf);
    const norm = guard?.measured ?? this.optimizer.norm;
    const [[loss], [gradNorm], seconds] = await Promise.all([
      stage.pass.loss.read(),
      norm.read(),
      clock.read(),
    ] as const);
    const skipped = !Number.isFinite(gradNorm) || loss! > mostLoss || gradNorm! > mostNorm;
    return { loss: loss!, gradNorm: gradNorm!, skipped, labels: counted?.labels ?? null, seconds };
  }

  /** Makes the model's weights whole, for whoever reads them between steps: of several ranks, all call it. */
  gatherWeights(): void {
    if (this.#apart) this.#exchange!.gatherWeights();
    this.#apart = false;
  }

  /** The token-level loss on the held-out sequences of all ranks, in nats per token; null if there are none. */
  async evaluate(): Promise<number | null> {
    if (!this.#evaluates) return null;
    this.gatherWeights();
    if (!this.plan.sharding.shared) return this.#evaluation!.compute();
    const loss = this.#evaluation?.enqueue() ?? this.#stages[0]!.pass.loss;
    if (this.#evaluation === null) native.fill(loss, 0);
    native.allReduce(loss);
    const [sum] = await loss.read();
    return sum!;
  }

  /** Frees all memory except the model's. */
  dispose(): void {
    for (const { graph } of this.#stages) graph.dispose();
    this.#memory?.dispose();
    disposeAll(this.#buffers);
    disposeAll(this.#guard);
    this.optimizer.dispose();
  }

  /** `dispose()`, for `using`. */
  [Symbol.dispose](): void {
    this.dispose();
  }
}
