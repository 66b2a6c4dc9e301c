import { formatDuration, formatLoss } from "../report/format.js";
import type { MetricsLine } from "../report/metrics.js";
import { type ArmRun, flopsAt } from "./arm.js";

/** The progress of a comparison. */
export interface CompareProgress {
  /** FLOPs done, and of all runs. */
  readonly done: number;
  readonly total: number;
  /** In words: run, stage, step, losses, time left; or run and what its model is tested for. */
  readonly note: string;
}

/** Counts the work of all runs in FLOPs, and estimates the time left from the rate since it began. */
export class ProgressCounter {
  readonly #runs: ArmRun[];
  readonly #start = performance.now();
  /** The runs before the current one, and their FLOPs. */
  #finished = 0;
  #before = 0;
  /** FLOPs of this comparison that were done before this call. */
  #earlier = 0;
  #valLoss: number | undefined;

  constructor(runs: readonly ArmRun[]) {
    this.#runs = [...runs];
  }

  /** Counts a run that was not planned, and is next. */
  insert(run: ArmRun): void {
    this.#runs.splice(this.#finished, 0, run);
  }

  /** Counts other runs at the end than were planned. */
  replace(planned: readonly ArmRun[], runs: readonly ArmRun[]): void {
    this.#runs.splice(-planned.length, planned.length, ...runs);
  }

  get #total(): number {
    return this.#runs.reduce((sum, { flops }) => sum + flops, 0);
  }

  /** Counts a run that is already finished. */
  skip(run: ArmRun): void {
    this.#finish(run);
    this.#earlier += run.flops;
  }

  #finish({ flops }: ArmRun): void {
    this.#finished++;
    this.#before += flops;
  }

  /** Counts what a run has done in an earlier call. */
  open(run: ArmRun, step: number): void {
    this.#earlier += flopsAt(run, step);
    if (step === run.steps) this.#finish(run); // only its model is to be written
    this.#valLoss = undefined;
  }

  /** @param run null: the model that the runs continue @param what is done with the model, and how much of it */
  tested(run: ArmRun | null, what: string, done: number, of: number): CompareProgress {
    const note = `${run ? this.#name(run) : "the model that is continued"} | ${what} ${done}/${of}`;
    return { done: this.#before, total: this.#total, note };
  }

  #name(run: ArmRun): string {
    return `run ${this.#runs.indexOf(run) + 1}/${this.#runs.length}: ${run.label}`;
  }

  step(run: ArmRun, line: MetricsLine): CompareProgress {
    this.#valLoss = line.valLoss ?? this.#valLoss;
    const done = this.#before + line.flops;
    if (line.step === run.steps) this.#finish(run);
    const seconds = (performance.now() - this.#start) / 1000;
    const left = ((this.#total - done) * seconds) / (done - this.#earlier);
    // The most important part comes first: a narrow terminal cuts off the rest.
    const parts = [
      this.#name(run),
      `stage ${line.stage + 1}/${run.stages.length}, K ${line.patchSize}`,
      `step ${line.step}/${run.steps}`,
      `ETA of all ${formatDuration(left)}`,
      `loss ${formatLoss(line.loss)}`,
      ...(this.#valLoss === undefined ? [] : [`val ${formatLoss(this.#valLoss)}`]),
    ];
    return { done, total: this.#total, note: parts.join(" | ") };
  }
}
