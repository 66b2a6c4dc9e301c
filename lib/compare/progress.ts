import { formatDuration, formatLoss } from "../report/format.js";
import type { MetricsLine } from "../report/metrics.js";
import { type Arm, flopsAt } from "./plan.js";

/** The progress of a comparison. */
export interface CompareProgress {
  /** FLOPs done, and of all arms. */
  readonly done: number;
  readonly total: number;
  /** In words: arm, stage, step, losses, time left; or arm and tokens scored. */
  readonly note: string;
}

/** Counts the work of all arms in FLOPs, and estimates the time left from the rate since it began. */
export class ProgressCounter {
  readonly #total: number;
  readonly #start = performance.now();
  /** FLOPs of the arms before the current one. */
  #before = 0;
  /** FLOPs of this comparison that were done before this call. */
  #earlier = 0;
  #valLoss: number | undefined;

  constructor(private readonly arms: readonly Arm[]) {
    this.#total = arms.reduce((sum, { flops }) => sum + flops, 0);
  }

  /** Counts an arm that is already finished. */
  skip(arm: Arm): void {
    this.#before += arm.flops;
    this.#earlier += arm.flops;
  }

  /** Counts what an arm has done in an earlier call. */
  open(arm: Arm, step: number): void {
    this.#earlier += flopsAt(arm, step);
    this.#valLoss = undefined;
  }

  /** @param done tokens of tasks that the arm's model has been scored on */
  scored(arm: Arm, done: number, of: number): CompareProgress {
    const note = `${this.#name(arm)} | scoring token ${done}/${of}`;
    return { done: this.#before, total: this.#total, note };
  }

  #name(arm: Arm): string {
    return `run ${this.arms.indexOf(arm) + 1}/${this.arms.length}: ${arm.label}`;
  }

  step(arm: Arm, line: MetricsLine): CompareProgress {
    this.#valLoss = line.valLoss ?? this.#valLoss;
    const done = this.#before + line.flops;
    if (line.step === arm.steps) this.#before += arm.flops;
    const seconds = (performance.now() - this.#start) / 1000;
    const left = ((this.#total - done) * seconds) / (done - this.#earlier);
    // The most important part comes first: a narrow terminal cuts off the rest.
    const parts = [
      this.#name(arm),
      `stage ${line.stage + 1}/${arm.stages.length}, K ${line.patchSize}`,
      `step ${line.step}/${arm.steps}`,
      `ETA of all ${formatDuration(left)}`,
      `loss ${formatLoss(line.loss)}`,
      ...(this.#valLoss === undefined ? [] : [`val ${formatLoss(this.#valLoss)}`]),
    ];
    return { done, total: this.#total, note: parts.join(" | ") };
  }
}
