import type { RunConfig } from "../config/config.js";
import { resolveStages, type ResolvedStage } from "../config/stages.js";
import { TokenDataset } from "../data/dataset.js";
import { BlockLoader, type DataPosition } from "../data/loader.js";
import { Device, type DeviceSpec } from "../device.js";
import { DeviceError } from "../errors.js";
import type { ModelFolderExtras } from "../hf/model-folder.js";
import { Llama } from "../nn/llama.js";
import { learningRate } from "../optim/schedule.js";
import { MetricsWriter, readMetrics, type MetricsLine, type TimeByPart } from "../report/metrics.js";
import { renderReport, type Report } from "../report/report.js";
import { configHash, loadTrainerTensors, readTrainerState, writeCheckpoint, writeText } from "./checkpoint.js";
import { planItems, planRun, type PlanItem, type RunPlan } from "./memory_plan.js";
import { peakFlops } from "./peak.js";
import { RunFolder } from "./run_folder.js";
import { modelShape, readHeldOut, readTokenizer } from "./setup.js";
import type { PartSeconds } from "./step_clock.js";
import { Stepper } from "./stepper.js";

/** Updates in a row without a finite gradient before a run is given up. */
const maxSkippedUpdates = 10;

/** How a run is opened. */
export interface TrainerOptions {
  /** Go on with the run that `config.out` holds. */
  readonly resume?: boolean;
  /** Told what a person wants to know: what `auto` chose, where a run goes on, an update that was skipped. */
  readonly log?: (message: string) => void;
}

/** Everything that `Trainer.open` opens. */
interface Parts {
  readonly config: RunConfig;
  readonly model: Llama;
  readonly stages: readonly ResolvedStage[];
  readonly folder: RunFolder;
  readonly plan: RunPlan;
  readonly dataset: TokenDataset;
  readonly stepper: Stepper;
  readonly extras: ModelFolderExtras;
  /** FLOP/s that MFU is a fraction of. */
  readonly peak: number | null;
  readonly log: (message: string) => void;
}

interface Progress {
  step: number;
  tokens: number;
  positions: number;
  flops: number;
  seconds: number;
  time: TimeByPart;
  /** Joules; null where the device does not count them. */
  energy: number | null;
  data: DataPosition;
}

/**
 * Trains a model through its stages and keeps the run's folder. `run()` yields a metrics line a step:
 *
 *     const trainer = await Trainer.open(await loadRunConfig("config.yaml"));
 *     for await (const { step, loss } of trainer.run()) console.log(step, loss);
 *     await trainer.close();
 */
export class Trainer {
  readonly #parts: Parts;
  readonly #progress: Progress = {
    step: 0, tokens: 0, positions: 0, flops: 0, seconds: 0, time: noTime, energy: null,
    data: { epoch: 0, tokens: 0 },
  };
  #skipped = 0;

  private constructor(parts: Parts) {
    this.#parts = parts;
  }

  /**
   * Opens device, data and model, takes all memory, and makes (or reopens) the run's folder.
   * @throws ConfigError, DataError, CheckpointError, DeviceError, OutOfMemoryError
   */
  static async open(config: RunConfig, options: TrainerOptions = {}): Promise<Trainer> {
    const log = options.log ?? (() => undefined);
    const device = Device.open(config.device as DeviceSpec);
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
      const placement = { device, precision: config.precision };
      const model =
        "from" in config.init
          ? await Llama.load(config.init.from, placement)
          : Llama.create(shape, { ...placement, seed: config.init.seed });
      const peak = await peakFlops(device, dtype);
      device.trim(); // what loading and measuring left behind
      const stepper = new Stepper(model, plan, stages, heldOut);
      const maxLength = shape.max_position_embeddings;
      const extras = tokenizer ? { tokenizer: { ...tokenizer, maxLength } } : {};
      const trainer = new Trainer({ config, model, stages, folder, plan, dataset, stepper, extras, peak, log });
      if (checkpoint) await trainer.#restore(checkpoint);
      else if (options.resume) log(`${config.out} has no checkpoint yet: beginning at step 0`);
      return trainer;
    } catch (error) {
      await dataset.close();
      throw error;
    }
  }

  get model(): Llama {
    return this.#parts.model;
  }

  get stages(): readonly ResolvedStage[] {
    return this.#parts.stages;
  }

  /** The run's folder. */
  get folder(): string {
    return this.#parts.folder.path;
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
    return planItems(this.model.device, this.#parts.plan);
  }

  /**
   * Trains to the end, and leaves the model and the report. Where the caller breaks off the loop, it leaves a
   * checkpoint of the last step.
   * @throws DataError, DeviceError
   */
  async *run(): AsyncGenerator<MetricsLine, void> {
    const { config, folder, stepper } = this.#parts;
    const metrics = await MetricsWriter.open(folder.metrics, { resumeAfter: this.step });
    let saved = this.step;
    const save = async (stage: number) => {
      await this.#save(stage);
      saved = this.step;
    };
    try {
      for (const stage of this.stages) {
        const end = stage.firstStep + stage.steps;
        if (this.step >= end) continue;
        if (this.step === stage.firstStep && stage.index > 0 && !stage.keepOptimizer) stepper.optimizer.reset();
        const loader = this.#loader(stage);
        try {
          while (this.step < end) {
            const line = await this.#trainStep(stage, loader);
            await metrics.append(line);
            this.#checkFinite(line);
            if (this.step % config.checkpoint.everySteps === 0 || this.step === this.totalSteps) await save(stage.index);
            yield line;
          }
        } finally {
          if (saved < this.step) await save(stage.index);
          await loader.close();
        }
      }
    } finally {
      await metrics.close();
    }
    await folder.replaceModel((path) => this.model.save(path, this.#parts.extras));
    await this.writeReport();
  }

  /** Rewrites `report.html` from the metrics so far. */
  async writeReport(sample?: Report["sample"]): Promise<void> {
    const { folder, config } = this.#parts;
    const { device, parameterCount, parameters } = this.model;
    const html = renderReport({
      config,
      stages: this.stages,
      metrics: await readMetrics(folder.metrics),
      parameters: parameterCount,
      device: `${device.backend} (${device.name}), ${parameters.dtype === "bf16" ? "bf16" : "fp32"}`,
      ...(sample ? { sample } : {}),
    });
    await writeText(folder.report, html);
  }

  /** Frees all memory and closes the data. */
  async close(): Promise<void> {
    const { dataset, stepper, model } = this.#parts;
    await dataset.close();
    stepper.dispose();
    model.dispose();
  }

  #loader(stage: ResolvedStage): BlockLoader {
    const { config } = this.#parts;
    const blockTokens = (s: ResolvedStage) => s.patchSize * s.sequenceLength;
    return new BlockLoader({
      dataset: this.#parts.dataset,
      blockTokens: blockTokens(stage),
      unitTokens: config.data.shuffleTokens ?? Math.max(...this.stages.map(blockTokens)),
      vocabSize: this.model.config.vocab_size,
      seed: config.seed,
      position: this.#progress.data,
    });
  }

  async #trainStep(stage: ResolvedStage, loader: BlockLoader): Promise<MetricsLine> {
    const { stepper, peak } = this.#parts;
    const progress = this.#progress;
    const { device } = this.model;
    const energyBefore = device.energy();
    const start = performance.now();
    const lr = learningRate(
      stage.schedule, stage.optimizer.lr, progress.step - stage.scheduleFirstStep, stage.scheduleSteps,
    );
    const tokens = await loader.next(stage.sequencesPerStep);
    const dataSeconds = (performance.now() - start) / 1000;
    const { loss, gradNorm, seconds: parts } = await stepper.step(stage.index, tokens, lr);
    const seconds = (performance.now() - start) / 1000;
    const flops = stepper.flopsPerStep(stage);

    progress.step++;
    progress.tokens += stage.tokensPerStep;
    progress.positions += stage.positionsPerStep;
    progress.flops += flops;
    progress.seconds += seconds;
    progress.time = addTime(progress.time, dataSeconds, parts, seconds);
    const energy = device.energy();
    if (energyBefore !== null && energy !== null) progress.energy = (progress.energy ?? 0) + (energy - energyBefore);
    progress.data = loader.position;
    const valLoss = this.#evaluationDue(stage) ? await stepper.evaluate() : null;
    return {
      step: progress.step,
      stage: stage.index,
      patchSize: stage.patchSize,
      tokens: progress.tokens,
      positions: progress.positions,
      loss,
      lr,
      gradNorm,
      seconds: progress.seconds,
      tokensPerSecond: stage.tokensPerStep / seconds,
      flops: progress.flops,
      mfu: peak && flops / seconds / peak,
      time: progress.time,
      ...(progress.energy === null ? {} : { energy: progress.energy }),
      ...(valLoss === null ? {} : { valLoss }),
    };
  }

  #evaluationDue(stage: ResolvedStage): boolean {
    const every = this.#parts.config.eval?.everySteps ?? Number.POSITIVE_INFINITY;
    return this.step % every === 0 || this.step === stage.firstStep + stage.steps;
  }

  /** The optimizer has left the parameters as they were; a run that never recovers is ended. */
  #checkFinite({ step, loss, gradNorm }: MetricsLine): void {
    if (Number.isFinite(gradNorm)) {
      this.#skipped = 0;
      return;
    }
    this.#skipped++;
    this.#parts.log(`step ${step}: loss ${loss}, gradient norm ${gradNorm}: the update was skipped`);
    if (this.#skipped < maxSkippedUpdates) return;
    throw new DeviceError(
      `training diverged: ${maxSkippedUpdates} updates in a row had no finite gradient (last at step ${step}); ` +
        "go back to an earlier checkpoint with a lower learning rate",
    );
  }

  async #save(stage: number): Promise<void> {
    const { config, folder, stepper, extras } = this.#parts;
    const state = {
      ...this.#progress,
      stage,
      optimizerSteps: stepper.optimizer.stepsTaken,
      seed: config.seed,
      configHash: configHash(config),
    };
    await writeCheckpoint(
      folder.checkpoints, this.model.parameters, stepper.optimizer, state, extras, config.checkpoint.keep,
    );
    await this.writeReport();
  }

  async #restore(checkpoint: string): Promise<void> {
    const { optimizer } = this.#parts.stepper;
    const { optimizerSteps, step, tokens, positions, flops, seconds, time, energy, data } = await readTrainerState(checkpoint);
    await loadTrainerTensors(checkpoint, this.model.parameters, optimizer);
    Object.assign(this.#progress, { step, tokens, positions, flops, seconds, time, energy, data });
    optimizer.stepsTaken = optimizerSteps;
    this.#parts.log(`going on from ${checkpoint}: step ${step} of ${this.totalSteps}`);
  }
}

const noTime: TimeByPart = { data: 0, embedding: 0, transformer: 0, head: 0, optimizer: 0, idle: 0 };

/** Adds a step's seconds; what neither the data nor the device took, the device was idle. */
function addTime(before: TimeByPart, data: number, parts: PartSeconds | null, seconds: number): TimeByPart {
  const { embedding, transformer, head, optimizer } = parts ?? { ...noTime, transformer: seconds - data };
  const idle = Math.max(0, seconds - data - embedding - transformer - head - optimizer);
  return {
    data: before.data + data,
    embedding: before.embedding + embedding,
    transformer: before.transformer + transformer,
    head: before.head + head,
    optimizer: before.optimizer + optimizer,
    idle: before.idle + idle,
  };
}
