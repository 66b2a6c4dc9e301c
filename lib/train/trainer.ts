import { inspect } from "node:util";
import { Arguments } from "../arguments.js";
import type { RunConfig } from "../config/config.js";
import type { LoggerName } from "../config/logger_names.js";
import { checkParsed } from "../config/parsed.js";
import { learningRate } from "../config/schedule.js";
import { type ResolvedStage, stepsOf } from "../config/stages.js";
import { bitsPerByte } from "../data/bits_per_byte.js";
import { BlockLoader } from "../data/loader.js";
import type { Llama } from "../nn/llama.js";
import type { Logger } from "../report/logger.js";
import type { MetricsLine } from "../report/metrics.js";
import type { Sample } from "../report/run_facts.js";
import { TensorBoardLogger } from "../report/tensorboard/logger.js";
import { configHash } from "./config_hash.js";
import { type PlanItem, planItems } from "./memory_plan.js";
import { type OpenRun, openRun } from "./open_run.js";
import { advance, metricsLine, type StepRecord, type TrainerProgress } from "./progress.js";
import { RunLoggers } from "./run_loggers.js";
import { shuffledTokens } from "./run_plan.js";
import type { Wishes } from "./run_ranks.js";
import { type CheckedOptions, checkOptions, type TrainerOptions } from "./trainer_options.js";

const loggerKinds = { tensorboard: TensorBoardLogger } as const satisfies Record<LoggerName, new () => Logger>;

/**
 * Trains a model through its stages and maintains the run's folder. `run()` yields a metrics line per step. Without
 * `await using`, `close()` ends it.
 *
 * @example
 * ```ts
 * import { loadRunConfig, Trainer } from "nextpatch";
 *
 * await using trainer = await Trainer.open(await loadRunConfig("config.yaml"), { log: console.error });
 * for await (const { step, loss } of trainer.run()) console.log(step, loss);
 * console.log(trainer.folder); // with model/, report.html and checkpoints/
 * ```
 */
export class Trainer {
  readonly #run: OpenRun;
  readonly #options: CheckedOptions;
  readonly #loggers: RunLoggers;
  #progress: TrainerProgress;
  /** The step of the last checkpoint. */
  #saved: number;
  /** The step of the last line in the metrics. */
  #noted: number;
  #checkpointAsked = false;
  #stopAsked = false;
  /** Whether a `run()` is going on. */
  #running = false;
  /** The steps of the last `run()`, which `close` ends. */
  #steps: AsyncGenerator<MetricsLine, void> | null = null;
  #closed = false;

  private constructor(run: OpenRun, options: CheckedOptions) {
    this.#run = run;
    this.#options = options;
    const ofConfig = run.config.logger.map((name) => new loggerKinds[name]());
    const { log, loggers } = options;
    this.#loggers = new RunLoggers(run.metrics === null ? [] : [...ofConfig, ...loggers], log);
    this.#progress = run.progress;
    this.#saved = run.progress.step;
    this.#noted = run.progress.step;
  }

  /**
   * Opens device, data and model, allocates all memory, and creates (or reopens) the run's folder. If it fails, nothing
   * stays open.
   * @param config as `defineConfig`, `loadRunConfig` or `parseRunConfig` returns it
   * @throws TypeError or RangeError for a wrong argument
   * @throws ConfigError if the config has not been parsed or cannot be run with this data, its product table is not one
   *   for this device, another process trains in the folder, it already holds a run, or, to resume, holds none, or one
   *   whose config differs in keys that may not change so, or whose schedule does not allow another length, or whose
   *   product table computes something else
   * @throws DataError if the shards are missing, damaged, not those that the files beside them or the run's own record
   *   describe, or of another tokenizer or a larger vocabulary than the model; if they hold no held-out sequence; if
   *   metrics.jsonl is not the one that the checkpoint was made with
   * @throws CheckpointError if no checkpoint of the run is intact, or that of `from`; if it is of another run; if the model
   *   of `init.from` is damaged
   * @throws DeviceError, OutOfMemoryError if the device is missing, or the plan does not fit its memory
   */
  static async open(config: RunConfig, options: TrainerOptions = {}): Promise<Trainer> {
    const check = new Arguments("Trainer.open");
    checkParsed(check, "Trainer.open", config);
    const checked = checkOptions(check, options);
    return new Trainer(await openRun(config, checked), checked);
  }

  /**
   * The model being trained, on its device. The trainer owns it: `close` frees it. Of several ranks, each has all of the
   * last step's weights after an evaluation, after a checkpoint and when `run()` has ended; else its own part of them.
   */
  get model(): Llama {
    return this.#run.model;
  }

  /** The run's config, as it was given; of a run that was extended, its stages but the last are counted in steps. */
  get config(): RunConfig {
    return this.#run.config;
  }

  /** The stages in order, each with its overrides applied and its length in steps. */
  get stages(): readonly ResolvedStage[] {
    return this.#run.stages;
  }

  /** The run's folder. */
  get folder(): string {
    return this.#run.folder.path;
  }

  /**
   * The path of the newest checkpoint on the disk; null: there is none yet. Of several ranks the first one writes them, and
   * goes on meanwhile: another one may still find the one before.
   */
  get latestCheckpoint(): string | null {
    return this.#run.folder.checkpoints.latest;
  }

  /** The path of the checkpoint of the lowest validation loss, with `checkpoint.keepBest`; null: there is none yet. */
  get bestCheckpoint(): string | null {
    return this.#run.folder.checkpoints.best;
  }

  /** Steps of all stages. */
  get totalSteps(): number {
    return stepsOf(this.stages);
  }

  /** Steps done. */
  get step(): number {
    return this.#progress.step;
  }

  /** The run's totals of work and cost since its beginning, including training before a resumption. */
  get progress(): TrainerProgress {
    return this.#progress;
  }

  /** Updates of the run that were skipped: their gradient was not finite, or the guard held them back. */
  get skippedUpdates(): number {
    return this.#run.health.skipped;
  }

  /** Bytes of the host's memory for the copy that checkpoints are written from; 0: training waits for each instead. */
  get copyBytes(): number {
    return this.#run.saver.copyBytes;
  }

  /** Where every planned byte of the device goes. */
  get memoryPlan(): PlanItem[] {
    return planItems(this.model.device, this.#run.plan);
  }

  /**
   * Trains to the end and yields each step's metrics line after writing it to `metrics.jsonl`. Model and report are
   * written before the last line is yielded. If the caller leaves the loop early, a checkpoint of the last step is
   * saved. A finished run yields nothing; its model and its report are written again. Of several ranks all have to leave
   * the loop after the same step, as `requestStop` makes them do.
   * @throws TypeError if the trainer is closed, or `close` was called since the last line; RangeError if `learningRate`
   *   returns no rate; what a callback throws; the reason of `signal`, if that ended training
   * @throws DataError if a shard cannot be read or holds a token outside the model's vocabulary
   * @throws DeviceError if the device fails, ten updates in a row were skipped, or one of several ranks leaves the loop
   *   where others go on
   * @throws ConfigError if another process has taken the run's folder, as after a standstill of over a minute
   * @throws Error of the file system if the run's folder cannot be written, such as on a full disk
   */
  async *run(): AsyncGenerator<MetricsLine, void> {
    const open = () => {
      if (this.#closed) new Arguments("Trainer.run").fail(TypeError, "this", "an open trainer", "a closed one");
    };
    open();
    const steps = this.#train();
    this.#steps = steps;
    try {
      for (;;) {
        const { done, value } = await steps.next();
        open();
        if (done) break;
        yield value;
      }
      if (this.step < this.totalSteps) this.#options.signal?.throwIfAborted();
    } finally {
      await steps.return();
    }
  }

  async *#train(): AsyncGenerator<MetricsLine, void> {
    const { config, products, metrics, report, saver, health } = this.#run;
    const { onStage, onStep } = this.#options;
    await metrics?.begin();
    try {
      this.#running = true;
      await this.#loggers.begin({ name: config.name, folder: this.folder, config, step: this.step });
      await report?.writeFacts(); // watch shows the run from its first step on
      // The run was killed between its last checkpoint and its model, or the model has been deleted since.
      if (this.step === this.totalSteps) await this.#finish();
      else if ((await this.#run.ranks.agree(this.#wishes(), null)).stop) return;
      for (const stage of this.stages) {
        const end = stage.firstStep + stage.steps;
        if (this.step >= end) continue;
        const loader = this.#beginStage(stage);
        let first = true;
        let failed = false;
        let left = false;
        try {
          onStage?.(stage);
          while (this.step < end) {
            this.#run.ranks.beginStep();
            const [line, wishes] = await this.#trainStep(stage, loader);
            if (first) await products.report();
            first = false;
            await metrics?.append(line);
            this.#noted = line.step;
            await this.#loggers.step(line);
            await health.check(line.step, stage);
            saver.check();
            const due = saver.note(line);
            const last = this.step === this.totalSteps;
            if (last || due || wishes.save) await this.#save(stage.index);
            onStep?.(line);
            // Before the line is yielded, so that a caller that stops there has everything.
            if (last) await this.#finish();
            left = true;
            yield line;
            if (wishes.stop || (this.#wishes().stop && !this.#run.ranks.shared)) return;
            left = false;
          }
        } catch (error) {
          failed = true;
          throw error;
        } finally {
          await loader.close();
          if (left && this.step < this.totalSteps) await this.#run.ranks.leaveLoop(this.step);
          await this.#leave(stage.index, failed);
        }
      }
    } finally {
      this.#stopAsked = false;
      try {
        await this.#loggers.end();
      } finally {
        await metrics?.end();
        this.#running = false;
      }
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
   * Asks `run()` to end: after the line of the step that is being trained, or of the next one, as if the loop were left
   * there; a later `run()` goes on. Of several ranks any may ask, and all of them end after the same step: there, this is
   * the way to leave the loop.
   */
  requestStop(): void {
    this.#stopAsked = true;
  }

  /**
   * Writes the model and the report of the step that the run has reached, as its end does: after a loop that was left
   * early. Training may go on from there. Of several ranks the first one does.
   * @throws TypeError if the trainer is closed, has trained no step, or `run` has not ended; ConfigError if another process
   *   has taken the run's folder; errors of the file system
   */
  async finish(): Promise<void> {
    const check = new Arguments("Trainer.finish");
    if (this.#closed) check.fail(TypeError, "this", "an open trainer", "a closed one");
    if (this.#running) check.fail(TypeError, "this", "a trainer whose run has ended", "one that is training");
    this.#checkBegun(check);
    await this.#finish();
  }

  /** The pages of a run show its metrics, which begin with its first step. */
  #checkBegun(check: Arguments): void {
    if (this.step === 0) check.fail(TypeError, "this", "a trainer that has trained a step", "one at step 0");
  }

  /**
   * Rewrites `report.html` and `report.json` from the metrics so far; of several ranks the first one does.
   * @param sample text that the model generated, to show in the report and in `watch`; the latest are kept with the run
   * @throws TypeError for a wrong argument, or if the trainer has trained no step
   */
  async writeReport(sample?: Pick<Sample, "prompt" | "text">): Promise<void> {
    const check = new Arguments("Trainer.writeReport");
    if (sample !== undefined) {
      check.string("sample.prompt", check.options("sample", sample, ["prompt", "text"]).prompt);
      check.string("sample.text", sample.text);
    }
    this.#checkBegun(check);
    const { report } = this.#run;
    if (sample !== undefined) report?.add({ step: this.step, prompt: sample.prompt, text: sample.text });
    await report?.write(this.#progress.time.communication ?? 0);
  }

  /**
   * Frees all memory, the model's too, and closes the data. A step that is being trained is finished first, and its
   * checkpoint saved as if the loop had been left; the loop then hears of it by a TypeError. A second call does nothing.
   * @throws what saving that checkpoint throws; all is closed nevertheless
   */
  async close(): Promise<void> {
    this.#closed = true;
    try {
      await this.#steps?.return();
    } finally {
      await this.#run.close();
    }
  }

  /**
   * What console.log shows.
   * @internal
   */
  [inspect.custom](): string {
    const closed = this.#closed ? ", closed" : "";
    return `Trainer ${this.folder}, step ${this.step} of ${this.totalSteps}, ${inspect(this.model)}${closed}`;
  }

  /** The same as `close`, for `await using`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /**
   * Everything that happens at a stage boundary, and when a run resumes inside a stage:
   * - Guard: begins anew, as another objective has other losses.
   * - The optimizer's moments and momentum: set to zeros at the stage's first step, unless it keeps the previous
   *   stage's optimizer.
   * - Schedule: nothing. The learning rate follows from the step and the beginning of the stage's schedule.
   * - Data: continues where the previous stage stopped, in blocks of this stage's size. Returns their loader.
   * - Graph: nothing. The stage's operations are recorded at its second step and kept beside those of other stages.
   * - Memory: nothing. The passes of all stages share the same buffers, planned for the largest.
   */
  #beginStage(stage: ResolvedStage): BlockLoader {
    const { config, stepper, health } = this.#run;
    if (this.step === stage.firstStep) {
      if (!stage.keepOptimizer) stepper.optimizer.reset();
      health.beginStage();
    }
    return new BlockLoader({
      dataset: this.#run.dataset,
      blockTokens: stage.patchSize * stage.sequenceLength,
      unitTokens: shuffledTokens(config, this.stages),
      vocabSize: this.model.config.vocab_size,
      seed: config.seed,
      position: this.#progress.data,
    });
  }

  async #trainStep(stage: ResolvedStage, loader: BlockLoader): Promise<[MetricsLine, Wishes]> {
    const { stepper, peak, health, ranks } = this.#run;
    const { device } = this.model;
    const energyBefore = device.energy();
    const start = performance.now();
    const lr = this.#learningRate(stage);
    const tokens = await loader.next(stage.sequencesPerStep);
    const dataSeconds = (performance.now() - start) / 1000;
    const { limits } = health;
    const maskOf = (batch: Int32Array) => loader.maskOf(batch);
    const result = await stepper.step(stage.index, tokens, lr, loader.ahead, limits, maskOf);
    const { loss, gradNorm, labels, seconds: parts } = result;
    const seconds = (performance.now() - start) / 1000;
    const energyAfter = device.energy();
    const energy = energyBefore === null || energyAfter === null ? null : energyAfter - energyBefore;
    const flops = stepper.flopsPerStep(stage);
    const optimizerFlops = stepper.optimizerFlopsPerStep(stage);
    const computed = parts && parts.embedding + parts.transformer + parts.head + parts.optimizer;
    const { slowest, ...wishes } = await ranks.agree(this.#wishes(), computed);
    const record: StepRecord = {
      lr,
      loss,
      gradNorm,
      labels,
      flops,
      optimizerFlops,
      seconds,
      dataSeconds,
      parts,
      slowest,
      energy,
      data: loader.position,
    };
    this.#progress = advance(this.#progress, stage, record);
    health.note(this.step, result, limits);
    const validation = this.#evaluationDue(stage) ? await this.#evaluate() : {};
    const { valLoss } = validation;
    if (valLoss !== undefined) this.#options.onEvaluation?.({ step: this.step, ...validation, valLoss });
    const measured = { ...validation, ...this.#memory() };
    return [metricsLine(this.#progress, stage, record, peak, health.skipped, measured), wishes];
  }

  /** Of one step in sixteen, among them those that thinned metrics keep: to ask takes a while. */
  #memory(): Pick<MetricsLine, "memory"> {
    if ((this.step - 1) % 16 !== 0) return {};
    return { memory: { device: this.model.device.memory().usedBytes, process: process.memoryUsage.rss() } };
  }

  /** The rate of the next step: the schedule's, or the caller's. */
  #learningRate(stage: ResolvedStage): number {
    const { step, totalSteps } = this;
    const { schedule, optimizer, scheduleFirstStep, scheduleSteps, firstStep } = stage;
    const scheduled = learningRate(schedule, optimizer.lr, step - scheduleFirstStep, scheduleSteps);
    const own = this.#options.learningRate;
    if (own === undefined) return scheduled;
    const { tokens } = this.#progress;
    const rate = own({ step, totalSteps, stage, stageStep: step - firstStep, tokens, scheduled });
    const isRate = (value: number) => value >= 0 && Number.isFinite(value);
    return new Arguments("Trainer.run").number("learningRate(at)", rate, "a number of at least 0", isRate);
  }

  #wishes(): Wishes {
    const { signal } = this.#options;
    const stop = this.#stopAsked || (signal?.aborted ?? false);
    return { save: this.#checkpointAsked || this.#run.saver.late, stop };
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
    const { config, stepper, saver, health } = this.#run;
    await this.#run.checkOwned();
    this.#checkpointAsked = false;
    stepper.gatherWeights();
    const [optimizerSteps] = await stepper.optimizer.stepsTaken.read();
    const state = {
      ...this.#progress,
      ...health.state,
      stage,
      optimizerSteps: optimizerSteps!,
      seed: config.seed,
      productTable: this.#run.productTable,
      metricsBytes: (await this.#run.metrics?.mark()) ?? null,
      configHash: configHash(config),
    };
    await saver.save(state, health.firstOfTrouble);
    await this.writeReport();
    this.#saved = this.step;
  }

  /**
   * Saves the last step where the loop is left, if its line is in the metrics; an error that it is left by counts more than
   * one of saving.
   */
  async #leave(stage: number, failed: boolean): Promise<void> {
    const { saver } = this.#run;
    try {
      // Where one rank fails, the others do not give their parts.
      const whole = !failed || !this.#run.ranks.shared;
      if (whole && this.#saved < this.step && this.#noted === this.step && !saver.failed) await this.#save(stage);
      await saver.settle();
    } catch (error) {
      if (!failed) throw error;
      this.#options.log(`the checkpoint of step ${this.step} could not be saved: ${(error as Error).message}`);
    }
  }

  async #finish(): Promise<void> {
    const { saver, checkOwned, folder, extras, metrics, stepper } = this.#run;
    stepper.gatherWeights();
    await saver.settle();
    if (metrics === null) return;
    await checkOwned();
    await folder.replaceModel((path) => this.model.save(path, extras));
    await metrics.check();
    await this.writeReport();
  }
}
