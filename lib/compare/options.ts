/** The options of `compare`. */
import type { Trainer } from "../train/trainer.js";
import type { PlanOptions } from "./plan.js";
import type { CompareProgress } from "./progress.js";

/** What is compared beyond the two runs, and callbacks. */
export interface CompareOptions extends PlanOptions {
  /** JSONL files of items to score each run's final model on, as `nextpatch eval --tasks` does. */
  readonly tasks?: readonly string[];
  /** Called after every step, and while a model is tested. */
  readonly onProgress?: (progress: CompareProgress) => void;
  /** Called with the trainer of each run before its first step, to ask it for a checkpoint or for where it is. */
  readonly onRun?: (trainer: Trainer) => void;
  /** Stops the work after the current step; the next call resumes there. */
  readonly signal?: AbortSignal;
}
