import { join } from "node:path";
import type { RunConfig } from "../config/config.js";
import { resolveStages, type ResolvedStage } from "../config/stages.js";
import { TokenDataset } from "../data/dataset.js";
import { BlockLoader, type DataPosition } from "../data/loader.js";
import { Tokenizer } from "../data/tokenizer.js";
import { Device } from "../device.js";
import { CheckpointError, ConfigError, DeviceError } from "../errors.js";
import { toHuggingFaceConfig, type LlamaConfig } from "../hf/config.js";
import { readModelConfig, type ModelFolderExtras } from "../hf/model-folder.js";
import type { Tensor } from "../native.js";
import { allocate, disposeAll, type Allocated } from "../nn/buffers.js";
import { trainingFlops } from "../nn/flops.js";
import { Llama } from "../nn/llama.js";
import { Pass } from "../nn/pass.js";
import { writeRotaryTable } from "../nn/rotary_table.js";
import { modelWeights } from "../nn/weights.js";
import { AdamW } from "../optim/adamw.js";
import { learningRate } from "../optim/schedule.js";
import { MetricsWriter, readMetrics, type MetricsLine } from "../report/metrics.js";
import { renderReport, type Report } from "../report/report.js";
import { configHash, loadTrainerTensors, readTrainerState, writeCheckpoint, writeText } from "./checkpoint.js";
import { Evaluation, heldOutTokens } from "./evaluation.js";
import { planItems, planRun, type PlanItem, type RunPlan } from "./memory_plan.js";
import { peakFlops } from "./peak.js";
import { findTokenizer, RunFolder } from "./run_folder.js";

/** Updates in a row whose gradient was not finite before a run is given up. */
const maxSkippedSteps = 10;

export interface TrainerOptions {
  /** Go on with the run that `config.out` holds. */
  readonly resume?: boolean;
  /** Told what a person wants to know: what `auto` chose, where a run goes on, a step that was skipped. */
  readonly log?: (message: string) => void;
}

interface Progress {
  step: number;
  tokens: number;
  positions: number;
  flops: number;
  seconds: number;
  data: DataPosition;
}

interface StageRun {
  readonly stage: ResolvedStage;
  readonly pass: Pass;
  /** Tokens of a micro-batch on the device, one view for each of a step. */
  readonly parts: readonly Tensor<"i32">[];
  readonly flopsPerStep: number;
}

/**
 * Trains a model through its stages and keeps the run's folder. `run()` yields a metrics line a step:
 *
 *     const trainer = await Trainer.open(await loadRunConfig("config.yaml"));
 *     for await (const { step, loss } of trainer.run()) console.log(step, loss);
 *     await trainer.close();
 */
export class Trainer {
  readonly #optimizer: AdamW;
  readonly #buffers: Allocated<RunPlan["passes"]>;
  readonly #tokens: Allocated<RunPlan["tokens"]>;
  readonly #stages: readonly StageRun[];
  readonly #evaluation: Evaluation | null;
  readonly #progress: Progress = {
    step: 0, tokens: 0, positions: 0, flops: 0, seconds: 0, data: { epoch: 0, tokens: 0 },
  };
  #peak: number | null = null;
  #skipped = 0;

  private constructor(
    readonly config: RunConfig,
    readonly model: Llama,
    readonly stages: readonly ResolvedStage[],
    readonly folder: RunFolder,
    private readonly plan: RunPlan,
    private readonly dataset: TokenDataset,
    heldOut: { tokens: Int32Array; sequences: number; positions: number } | null,
    private readonly extras: ModelFolderExtras,
    private readonly log: (message: string) => void,
  ) {
    const { device, parameters } = model;
    this.#optimizer = new AdamW(parameters);
    this.#buffers = allocate(device, plan.passes);
    this.#tokens = allocate(device, plan.tokens);
    writeRotaryTable(this.#buffers.rotaryTable, model.config);
    const weights = modelWeights(parameters, this.#optimizer.gradient);
    this.#stages = stages.map((stage, index) => {
      const batch = plan.batches[index]!;
      const microBatches = stage.sequencesPerStep / batch.sequences;
      const labelWeights = stage.labelWeights.map((weight) => weight / microBatches);
      const size = batch.sequences * batch.positions * batch.patchSize;
      return {
        stage,
        pass: new Pass(plan.shape, batch, weights, this.#buffers, labelWeights, true),
        parts: Array.from({ length: microBatches }, (_, part) => this.#tokens.step.narrow(0, part * size, size)),
        flopsPerStep: stage.positionsPerStep * trainingFlops(model.config, batch.positions, batch.patchSize),
      };
    });
    this.#evaluation = null;
    if (heldOut && this.#tokens.evaluation) {
      this.#tokens.evaluation.write(heldOut.tokens);
      const { sequences, positions } = heldOut;
      this.#evaluation = new Evaluation(
        plan.shape, weights, this.#buffers, this.#tokens.evaluation, sequences, positions,
      );
    }
  }

  /**
   * Opens device, data and model, plans the memory and makes (or reopens) the run's folder.
   * @throws ConfigError, DataError, CheckpointError, DeviceError, OutOfMemoryError
   */
  static async open(config: RunConfig, options: TrainerOptions = {}): Promise<Trainer> {
    const log = options.log ?? (() => undefined);
    const device = Device.open(config.device as Parameters<typeof Device.open>[0]);
    if (config.device === "auto") log(`device: auto chose ${device.backend}: ${device.name}`);
    const dtype = device.computeDType(config.precision);
    if (config.precision === "auto") log(`precision: auto chose ${dtype === "bf16" ? "bf16" : "fp32"}`);

    const dataset = await TokenDataset.open(config.data.train);
    try {
      const stages = resolveStages(config, dataset.tokenCount);
      const tokenizer = await readTokenizer(config);
      const shape = await modelShape(config, tokenizer);
      const heldOut = await readHeldOut(config, shape.vocab_size);
      const plan = planRun(device, shape, dtype, stages, heldOut);
      const { folder, checkpoint } = options.resume
        ? await RunFolder.reopen(config)
        : { folder: await RunFolder.create(config), checkpoint: null };
      if (options.resume && checkpoint === null) log(`${config.out} has no checkpoint yet: beginning at step 0`);
      const placement = { device, precision: config.precision };
      const model =
        "from" in config.init
          ? await Llama.load(config.init.from, placement)
          : Llama.create(shape, { ...placement, seed: config.init.seed });
      const extras = tokenizer
        ? { tokenizer: { path: tokenizer.path, endOfText: tokenizer.endOfText, maxLength: shape.max_position_embeddings } }
        : {};
      const trainer = new Trainer(config, model, stages, folder, plan, dataset, heldOut, extras, log);
      if (checkpoint) await trainer.#restore(checkpoint);
      trainer.#peak = await peakFlops(device, dtype);
      device.trim(); // what loading and measuring left behind
      return trainer;
    } catch (error) {
      await dataset.close();
      throw error;
    }
  }

  /** Steps of all stages. */
  get totalSteps(): number {
    return this.stages.reduce((sum, { steps }) => sum + steps, 0);
  }

  /** Steps done. */
  get step(): number {
    return this.#progress.step;
  }

  /** Where every planned byte goes. */
  get memoryPlan(): PlanItem[] {
    return planItems(this.model.device, this.plan);
  }

  /** Bytes of the passes' and the optimizer's tensors and of the parameters. */
  get plannedBytes(): number {
    return this.memoryPlan.reduce((sum, { bytes }) => sum + bytes, 0);
  }

  /**
   * Trains to the end. Ends early, with a checkpoint, when the caller breaks off the loop.
   * @throws DataError, DeviceError
   */
  async *run(): AsyncGenerator<MetricsLine, void> {
    const metrics = await MetricsWriter.open(this.folder.metrics, { resumeAfter: this.step });
    let saved = this.step;
    try {
      for (const stageRun of this.#stages) {
        const { firstStep, steps, keepOptimizer, index } = stageRun.stage;
        if (this.step >= firstStep + steps) continue;
        if (this.step === firstStep && index > 0 && !keepOptimizer) this.#optimizer.reset();
        const loader = this.#loader(stageRun.stage);
        try {
          while (this.step < firstStep + steps) {
            const line = await this.#trainStep(stageRun, loader);
            await metrics.append(line);
            const due = this.step % this.config.checkpoint.everySteps === 0 || this.step === this.totalSteps;
            if (due) {
              await this.#save(index);
              saved = this.step;
            }
            yield line;
          }
        } finally {
          await loader.close();
        }
      }
    } finally {
      await metrics.close();
      if (saved < this.step) await this.#save(this.#stageOf(this.step));
    }
    await this.#finish();
  }

  /** Rewrites `report.html` from the metrics so far. */
  async writeReport(sample?: Report["sample"]): Promise<void> {
    const { device, parameterCount, parameters } = this.model;
    const html = renderReport({
      config: this.config,
      stages: this.stages,
      metrics: await readMetrics(this.folder.metrics),
      parameters: parameterCount,
      device: `${device.backend} (${device.name}), ${parameters.dtype === "bf16" ? "bf16" : "fp32"}`,
      ...(sample ? { sample } : {}),
    });
    await writeText(this.folder.report, html);
  }

  /** Frees all memory and closes the data. */
  async close(): Promise<void> {
    await this.model.device.synchronize().catch(() => undefined);
    await this.dataset.close();
    disposeAll(this.#buffers);
    disposeAll(this.#tokens);
    this.#optimizer.dispose();
    this.model.dispose();
  }

  #loader(stage: ResolvedStage): BlockLoader {
    const blockTokens = (s: ResolvedStage) => s.patchSize * s.sequenceLength;
    return new BlockLoader({
      dataset: this.dataset,
      blockTokens: blockTokens(stage),
      unitTokens: Math.max(...this.stages.map(blockTokens)),
      vocabSize: this.model.config.vocab_size,
      seed: this.config.seed,
      position: this.#progress.data,
    });
  }

  async #trainStep({ stage, pass, parts, flopsPerStep }: StageRun, loader: BlockLoader): Promise<MetricsLine> {
    const progress = this.#progress;
    const start = performance.now();
    const scheduleStep = progress.step - stage.scheduleFirstStep;
    const lr = learningRate(stage.schedule, stage.optimizer.lr, scheduleStep, stage.scheduleSteps);
    const tokens = await loader.next(stage.sequencesPerStep);
    this.#tokens.step.narrow(0, 0, tokens.length).write(tokens);
    this.#optimizer.zeroGradient();
    parts.forEach((part, index) => {
      pass.forward(part, index > 0);
      pass.backward();
    });
    this.#optimizer.step(lr, stage.optimizer);
    const [[loss], [gradNorm]] = await Promise.all([pass.loss.read(), this.#optimizer.norm.read()]);
    const seconds = (performance.now() - start) / 1000;

    progress.step++;
    progress.tokens += stage.tokensPerStep;
    progress.positions += stage.positionsPerStep;
    progress.flops += flopsPerStep;
    progress.seconds += seconds;
    progress.data = loader.position;
    this.#guard(loss!, gradNorm!);
    const evaluated = this.#evaluation !== null && this.#evaluationDue(progress.step, stage);
    return {
      step: progress.step,
      stage: stage.index,
      patchSize: stage.patchSize,
      tokens: progress.tokens,
      positions: progress.positions,
      loss: loss!,
      lr,
      gradNorm: gradNorm!,
      seconds: progress.seconds,
      tokensPerSecond: stage.tokensPerStep / seconds,
      flops: progress.flops,
      mfu: this.#peak && flopsPerStep / seconds / this.#peak,
      ...(evaluated ? { valLoss: await this.#evaluation!.loss() } : {}),
    };
  }

  #evaluationDue(step: number, stage: ResolvedStage): boolean {
    const every = this.config.eval?.everySteps ?? Number.POSITIVE_INFINITY;
    return step % every === 0 || step === stage.firstStep + stage.steps;
  }

  #guard(loss: number, gradNorm: number): void {
    if (Number.isFinite(gradNorm)) {
      this.#skipped = 0;
      return;
    }
    this.#skipped++;
    this.log(`step ${this.step}: loss ${loss}, gradient norm ${gradNorm}: the update was skipped`);
    if (this.#skipped < maxSkippedSteps) return;
    throw new DeviceError(
      `training diverged: ${maxSkippedSteps} updates in a row had no finite gradient (last at step ${this.step}); ` +
        "go back to a checkpoint with a lower learning rate",
    );
  }

  #stageOf(step: number): number {
    return this.stages.findIndex(({ firstStep, steps }) => step <= firstStep + steps);
  }

  async #save(stage: number): Promise<void> {
    const { keep } = this.config.checkpoint;
    const state = {
      ...this.#progress,
      stage,
      optimizerSteps: this.#optimizer.stepsTaken,
      seed: this.config.seed,
      configHash: configHash(this.config),
    };
    const { parameters } = this.model;
    await writeCheckpoint(this.folder.checkpoints, parameters, this.#optimizer, state, this.extras, keep);
    await this.writeReport();
  }

  async #restore(checkpoint: string): Promise<void> {
    const state = await readTrainerState(checkpoint);
    await loadTrainerTensors(checkpoint, this.model.parameters, this.#optimizer);
    const { step, tokens, positions, flops, seconds, data } = state;
    Object.assign(this.#progress, { step, tokens, positions, flops, seconds, data });
    this.#optimizer.stepsTaken = state.optimizerSteps;
    this.log(`going on from ${checkpoint}: step ${step} of ${this.totalSteps}`);
  }

  async #finish(): Promise<void> {
    await this.folder.replaceModel((folder) => this.model.save(folder, this.extras));
    await this.writeReport();
  }
}

interface RunTokenizer {
  readonly path: string;
  readonly endOfTextId: number;
  readonly endOfText: string;
}

async function readTokenizer(config: RunConfig): Promise<RunTokenizer | null> {
  const path = await findTokenizer(config);
  if (path === null) return null;
  const tokenizer = await Tokenizer.fromFile(path);
  const endOfTextId = tokenizer.endOfTextId;
  return { path, endOfTextId, endOfText: await tokenizer.decode([endOfTextId], { keepSpecialTokens: true }) };
}

/** The model's shape: the config's or the checkpoint's, which must agree where both are given. */
async function modelShape(config: RunConfig, tokenizer: RunTokenizer | null): Promise<LlamaConfig> {
  if (!("from" in config.init)) {
    if (config.model === null) throw new ConfigError("model: expected a model, or init.from with a checkpoint");
    if (tokenizer === null) return config.model;
    // Generation stops at what separates the documents of this data.
    return { ...config.model, bos_token_id: tokenizer.endOfTextId, eos_token_id: tokenizer.endOfTextId };
  }
  const found = await readModelConfig(config.init.from);
  if (config.model === null) return found;
  const wanted = toHuggingFaceConfig(config.model, "float32");
  const decisive = ["vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads",
    "num_key_value_heads", "head_dim", "tie_word_embeddings"];
  for (const [key, value] of Object.entries(toHuggingFaceConfig(found, "float32"))) {
    if (!decisive.includes(key) || wanted[key] === value) continue;
    throw new CheckpointError(
      `${join(config.init.from, "config.json")}: ${key} is ${String(value)}, the run's model section says ` +
        `${String(wanted[key])}; leave the section out to take the checkpoint's`,
    );
  }
  return found;
}

async function readHeldOut(config: RunConfig, vocabulary: number) {
  if (config.eval === null || config.data.val === undefined) return null;
  const dataset = await TokenDataset.open(config.data.val);
  try {
    const positions = config.batch.sequenceLength;
    return { ...(await heldOutTokens(dataset, config.eval.sequences, positions, vocabulary)), positions };
  } finally {
    await dataset.close();
  }
}
