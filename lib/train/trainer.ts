import { Arguments } from "../arguments.js";
import type { RunConfig } from "../config/config.js";
import { checkParsed } from "../config/parsed.js";
import { learningRate } from "../config/schedule.js";
import type { ResolvedStage } from "../config/stages.js";
import { bitsPerByte } from "../data/bits_per_byte.js";
import { BlockLoader } from "../data/loader.js";
import { writeText } from "../disk/durable.js";
import type { Llama } from "../nn/llama.js";
import type { MetricsLine } from "../report/metrics.js";
import { type Report, renderReport } from "../report/report.js";
import { writeCheckpoint } from "./checkpoint.js";
import { configHash } from "./config_hash.js";
import { type PlanItem, planItems } from "./memory_plan.js";
import { type OpenRun, openRun } from "./open_run.js";
import { advance, metricsLine, type StepRecord, type TrainerProgress } from "./progress.js";
import { SkippedUpdates } from "./skipped_updates.js";
import { checkOptions, type TrainerOptions } from "./trainer_options.js";

/**
 * Trains a model through its stages and maintains the run's folder. `run()` yields a metrics line per step:
 *
 *     await using trainer = await Trainer.open(await loadRunConfig("config.yaml"));
 *     for await (const { step, loss } of trainer.run()) console.log(step, loss);
 *
 * Without `await using`, `close()` ends it.
 */
export class Trainer {
  readonly #run: OpenRun;
  readonly #skipped: SkippedUpdates;
  #progress: TrainerProgress;
  /** The step of the last checkpoint. */
  #saved: number;
  #checkpointAsked = false;

  private constructor(run: OpenRun, log: (message: string) => void) {
    this.#run = run;
    this.#skipped = new SkippedUpdates(log);
    this.#progress = run.progress;
    this.#saved = run.progress.step;
  }

  /**
   * Opens device, data and model, allocates all memory, and creates (or reopens) the run's folder. If it fails, nothing
   * stays open.
   * @param config as `loadRunConfig` or `parseRunConfig` returns it
   * @throws TypeError for a wrong argument
   * @throws ConfigError if the config has not been parsed or cannot be run with this data, its product table is not one
   *   for this device, another process trains in the folder, it already holds a run, or, to resume, holds none or one
   *   whose config or product table computes something else
   * @throws DataError if the shards are missing, damaged, not those that the files beside them or the run's own record
   *   describe, or of another tokenizer or a larger vocabulary than the model; if they hold no held-out sequence; if
   *   metrics.jsonl is not the one that the checkpoint was made with
   * @throws CheckpointError if the checkpoint, or the model of `init.from`, is damaged or of another run
   * @throws DeviceError, OutOfMemoryError if the device is missing, or the plan does not fit its memory
   */
  static async open(config: RunConfig, options: TrainerOptions = {}): Promise<Trainer> {
    const check = new Arguments("Trainer.open");
    checkParsed(check, "Trainer.open", config);
    const checked = checkOptions(check, options);
    return new Trainer(await openRun(config, checked), checked.log);
  }

  /** The model being trained, on its device. The trainer owns it: `close` frees it. */
  get model(): Llama {
    return this.#run.model;
  }

  /** The stages in order, each with its overrides applied and its length in steps. */
  get stages(): readonly ResolvedStage[] {
    return this.#run.stages;
  }

  /** The run's folder. */
  get folder(): string {
    return this.#run.folder.path;
  }

  /** Steps of all stages. */
  get totalSteps(): number {
    return this.stages.reduce((sum, { steps }) => sum + steps, 0);
  }

  /** Steps done. */
  get step(): number {
    return this.#progress.step;
  }

  /** The run's totals of work and cost since its beginning, including training before a resumption. */
  get progress(): TrainerProgress {
    return this.#progress;
  }

  /** Where every planned byte goes. */
  get memoryPlan(): PlanItem[] {
    return planItems(this.model.device, this.#run.plan);
  }

  /**
   * Trains to the end and yields each step's metrics line after writing it to `metrics.jsonl`. Model and report are
   * written before the last line is yielded. If the caller leaves the loop early, a checkpoint of the last step is
   * saved. A finished run yields nothing; its model and its report are written again.
   * @throws DataError if a shard cannot be read or holds a token outside the model's vocabulary
   * @throws DeviceError if the device fails, or ten updates in a row had no finite gradient
   * @throws ConfigError if another process has taken the run's folder, as after a standstill of over a minute
   * @throws Error of the file system if the run's folder cannot be written, such as on a full disk
   */
  async *run(): AsyncGenerator<MetricsLine, void> {
    const { config, products, metrics } = this.#run;
    await metrics.begin();
    try {
      // The run was killed between its last checkpoint and its model, or the model has been deleted since.
      if (this.step === this.totalSteps) await this.#finish();
      for (const stage of this.stages) {
        const end = stage.firstStep + stage.steps;
        if (this.step >= end) continue;
        const loader = this.#beginStage(stage);
        let first = true;
        try {
          while (this.step < end) {
            const line = await this.#trainStep(stage, loader);
            if (first) await products.report();
            first = false;
            await metrics.append(line);
            this.#skipped.check(line);
            const last = this.step === this.totalSteps;
            if (this.step % config.checkpoint.everySteps === 0 || this.#checkpointAsked || last)
              await this.#save(stage.index);
            // Before the line is yielded, so that a caller that stops there has everything.
            if (last) await this.#finish();
            yield line;
          }
        } finally {
          if (this.#saved < this.step) await this.#save(stage.index);
          await loader.close();
        }
      }
    } finally {
      await metrics.end();
    }
  }

  /**
   * Asks for a checkpoint of the step that is being trained, or of the next one: it is saved before that step's line is
   * yielded. May be called at any time, such as on a signal that warns of the end of a job.
   */
  requestCheckpoint(): void {
    this.#checkpointAsked = true;
  }

  /**
   * Rewrites `report.html` from the metrics so far.
   * @param sample text that the model generated, to show in the report
   * @throws TypeError for a wrong argument
   */
  async writeReport(sample?: Report["sample"]): Promise<void> {
    if (sample !== undefined) {
      const check = new Arguments("Trainer.writeReport");
      check.string("sample.prompt", check.object("sample", sample).prompt);
      check.string("sample.text", sample.text);
    }
    const { folder, config, metrics } = this.#run;
    const { device, parameterCount, parameters } = this.model;
    const html = renderReport({
      config,
      stages: this.stages,
      metrics: metrics.thinned.lines,
      every: metrics.thinned.every,
      damage: metrics.damage,
      parameters: parameterCount,
      device: `${device.backend} (${device.name}), ${parameters.dtype === "bf16" ? "bf16" : "fp32"}`,
      ...(sample ? { sample } : {}),
    });
    await writeText(folder.report, html);
  }

  /** Frees all memory, the model's too, and closes the data. A second call does nothing. */
  async close(): Promise<void> {
    await this.#run.close();
  }

  /** The same as `close`, for `await using`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /**
   * Everything that happens at a stage boundary, and when a run resumes inside a stage:
   * - Moments: set to zeros at the stage's first step, unless it keeps the previous stage's optimizer.
   * - Schedule: nothing. The learning rate follows from the step and the beginning of the stage's schedule.
   * - Data: continues where the previous stage stopped, in blocks of this stage's size. Returns their loader.
   * - Graph: nothing. The stage's operations are recorded at its second step and kept beside those of other stages.
   * - Memory: nothing. The passes of all stages share the same buffers, planned for the largest.
   */
  #beginStage(stage: ResolvedStage): BlockLoader {
    const { config, stepper } = this.#run;
    if (this.step === stage.firstStep && !stage.keepOptimizer) stepper.optimizer.reset();
    const blockTokens = (s: ResolvedStage) => s.patchSize * s.sequenceLength;
    return new BlockLoader({
      dataset: this.#run.dataset,
      blockTokens: blockTokens(stage),
      unitTokens: config.data.shuffleTokens ?? Math.max(...this.stages.map(blockTokens)),
      vocabSize: this.model.config.vocab_size,
      seed: config.seed,
      position: this.#progress.data,
    });
  }

  async #trainStep(stage: ResolvedStage, loader: BlockLoader): Promise<MetricsLine> {
    const { stepper, peak } = this.#run;
    const { device } = this.model;
    const energyBefore = device.energy();
    const start = performance.now();
    const lr = learningRate(
      stage.schedule,
      stage.optimizer.lr,
      this.step - stage.scheduleFirstStep,
      stage.scheduleSteps,
    );
    const tokens = await loader.next(stage.sequencesPerStep);
    const dataSeconds = (performance.now() - start) / 1000;
    const { loss, gradNorm, seconds: parts } = await stepper.step(stage.index, tokens, lr, loader.ahead);
    const seconds = (performance.now() - start) / 1000;
    const energyAfter = device.energy();
    const energy = energyBefore === null || energyAfter === null ? null : energyAfter - energyBefore;
    const flops = stepper.flopsPerStep(stage);
    const record: StepRecord = {
      lr,
      loss,
      gradNorm,
      flops,
      seconds,
      dataSeconds,
      parts,
      energy,
      data: loader.position,
    };
    this.#progress = advance(this.#progress, stage, record);
    const validation = this.#evaluationDue(stage) ? await this.#evaluate() : {};
    return metricsLine(this.#progress, stage, record, peak, validation);
  }

  async #evaluate(): Promise<Pick<MetricsLine, "valLoss" | "valBitsPerByte">> {
    const { stepper, heldOutTokensPerByte: perByte } = this.#run;
    const valLoss = await stepper.evaluate();
    if (valLoss === null) return {};
    return { valLoss, ...(perByte !== null && { valBitsPerByte: bitsPerByte(valLoss, perByte) }) };
  }

  #evaluationDue(stage: ResolvedStage): boolean {
    const every = this.#run.config.eval?.everySteps ?? Number.POSITIVE_INFINITY;
    return this.step % every === 0 || this.step === stage.firstStep + stage.steps;
  }

  async #save(stage: number): Promise<void> {
    const { config, folder, stepper, extras } = this.#run;
    await this.#run.checkOwned();
    this.#checkpointAsked = false;
    const [optimizerSteps] = await stepper.optimizer.stepsTaken.read();
    const state = {
      ...this.#progress,
      stage,
      optimizerSteps: optimizerSteps!,
      seed: config.seed,
      productTable: this.#run.productTable,
      metricsBytes: await this.#run.metrics.mark(),
      configHash: configHash(config),
    };
    await writeCheckpoint(
      folder.checkpoints,
      this.model.parameters,
      stepper.optimizer,
      state,
      extras,
      config.checkpoint.keep,
    );
    await this.writeReport();
    this.#saved = this.step;
  }

  async #finish(): Promise<void> {
    await this.#run.checkOwned();
    await this.#run.folder.replaceModel((path) => this.model.save(path, this.#run.extras));
    await this.#run.metrics.check();
    await this.writeReport();
  }
}
