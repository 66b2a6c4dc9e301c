import type { ResolvedStage } from "../config/stages.js";
import type { Graph, Tensor } from "../native.js";
import { type Allocated, allocate, disposeAll } from "../nn/buffers.js";
import { stepFlops } from "../nn/flops.js";
import type { Llama } from "../nn/llama.js";
import { Pass } from "../nn/pass.js";
import { writeRotaryTable } from "../nn/rotary_table.js";
import { modelWeights } from "../nn/weights.js";
import { AdamW } from "../optim/adamw.js";
import { Evaluation } from "./evaluation.js";
import type { RunPlan } from "./memory_plan.js";
import { type PartSeconds, StepClock } from "./step_clock.js";

/** Held-out sequences of `positions` tokens each. */
export interface HeldOut {
  readonly tokens: Int32Array;
  readonly sequences: number;
  readonly positions: number;
}

interface StagePass {
  readonly pass: Pass;
  /** The step's tokens on the device, a view for each micro-batch. */
  readonly parts: readonly Tensor<"i32">[];
  /** Whether its operations have run once. */
  warm: boolean;
  /** Its operations, recorded. */
  graph: Graph | null;
  /** The marks among them. */
  clock: StepClock | null;
}

export interface StepResult {
  /** Before the update, in nats a token. */
  readonly loss: number;
  /** Before clipping. */
  readonly gradNorm: number;
  /** The device's time by part. */
  readonly seconds: PartSeconds | null;
}

/** Whole training steps of every stage of a plan, over memory that is taken once, by the constructor. */
export class Stepper {
  readonly optimizer: AdamW;
  readonly #buffers: Allocated<RunPlan["passes"]>;
  readonly #tokens: Allocated<RunPlan["tokens"]>;
  readonly #passes: readonly StagePass[] = [];
  readonly #evaluation: Evaluation | null = null;
  /** The tokens that were prefetched, until a step takes them. */
  #prefetched: Int32Array | null = null;

  constructor(
    private readonly model: Llama,
    plan: RunPlan,
    private readonly stages: readonly ResolvedStage[],
    heldOut: HeldOut | null,
  ) {
    const { device, parameters, config } = model;
    this.optimizer = new AdamW(parameters);
    try {
      this.#buffers = allocate(device, plan.passes);
      this.#tokens = allocate(device, plan.tokens);
      // Takes the memory of it now. Twice, for one step's tokens are on their way while the host still holds the last's.
      for (let i = 0; i < 2; ++i) this.#tokens.step.prefetch(new Int32Array(this.#tokens.step.size));
      writeRotaryTable(this.#buffers.rotaryTable, config);
      const weights = modelWeights(parameters, this.optimizer.gradient);
      this.#passes = stages.map((stage, index) => {
        const batch = plan.batches[index]!;
        const count = stage.sequencesPerStep / batch.sequences;
        const labelWeights = stage.labelWeights.map((weight) => weight / count);
        const size = batch.sequences * batch.positions * batch.patchSize;
        return {
          pass: new Pass(plan.shape, batch, weights, this.#buffers, labelWeights, true),
          parts: Array.from({ length: count }, (_, part) => this.#tokens.step.narrow(0, part * size, size)),
          warm: false,
          graph: null,
          clock: null,
        };
      });
      const { evaluation } = this.#tokens;
      if (heldOut === null || evaluation === null) return;
      evaluation.write(heldOut.tokens);
      const { sequences, positions } = heldOut;
      this.#evaluation = new Evaluation(plan.shape, weights, this.#buffers, evaluation, sequences, positions);
    } catch (error) {
      this.dispose();
      throw error;
    }
  }

  /** Floating-point operations of one step of a stage, forward and backward. */
  flopsPerStep(stage: ResolvedStage): number {
    return stepFlops(this.model.config, stage);
  }

  /**
   * One update. Where the gradient is not finite the parameters stay as they are.
   * @param tokens the step's tokens, sequence by sequence
   * @param next what the next step's tokens probably will be: they cross to the device, once they are there, while this
   *   step runs. It may as well get others, and they may fail to come.
   */
  async step(
    stageIndex: number,
    tokens: Int32Array,
    learningRate: number,
    next: Promise<Int32Array> | null = null,
  ): Promise<StepResult> {
    const stagePass = this.#passes[stageIndex]!;
    const { pass } = stagePass;
    if (tokens !== this.#prefetched) this.#tokens.step.narrow(0, 0, tokens.length).write(tokens);
    this.#prefetched = null;
    this.optimizer.prepareStep(learningRate, this.stages[stageIndex]!.optimizer);
    this.#run(stagePass);
    // Only now: it must come behind the step in the queue. Where it fails, the step that wants the tokens will say so.
    next?.then((ahead) => this.#prefetch(ahead)).catch(() => undefined);
    const readings = [pass.loss.read(), this.optimizer.norm.read(), stagePass.clock!.read()] as const;
    const [[loss], [gradNorm], seconds] = await Promise.all(readings);
    return { loss: loss!, gradNorm: gradNorm!, seconds };
  }

  #prefetch(tokens: Int32Array): void {
    this.#tokens.step.narrow(0, 0, tokens.length).prefetch(tokens);
    this.#prefetched = tokens;
  }

  /**
   * Enqueues a stage's operations, the same every step: one by one the first time, which lets libraries choose and
   * load what they need, then recorded and launched at once.
   */
  #run(stage: StagePass): void {
    if (stage.graph) {
      stage.graph.launch();
      return;
    }
    const { device } = this.model;
    // docs/cuda.md says what the variable is for.
    const record = stage.warm && process.env.NEXTPATCH_GRAPHS !== "0";
    if (record) device.beginCapture();
    try {
      const clock = new StepClock(device);
      const lap = clock.lap.bind(clock);
      stage.clock = clock;
      this.optimizer.zeroGradient();
      lap("optimizer");
      stage.parts.forEach((part, index) => {
        stage.pass.forward(part, index > 0, lap);
        stage.pass.backward(lap);
      });
      this.optimizer.applyStep();
      lap("optimizer");
    } finally {
      if (record) stage.graph = device.endCapture();
    }
    stage.warm = true;
    stage.graph?.launch();
  }

  /** The token-level loss on the held-out sequences, in nats a token; null where there are none. */
  async evaluate(): Promise<number | null> {
    return this.#evaluation === null ? null : this.#evaluation.loss();
  }

  /** Frees all memory but the model's. */
  dispose(): void {
    for (const { graph } of this.#passes) graph?.dispose();
    disposeAll(this.#buffers);
    disposeAll(this.#tokens);
    this.optimizer.dispose();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }
}
