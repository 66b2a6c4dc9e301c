/** What follows a run beside its own files. */
import type { MetricsLine } from "./metrics.js";

/** The run that a logger follows. */
export interface LoggedRun {
  readonly name: string;
  /** The run's folder. */
  readonly folder: string;
  /** The run's config, with all defaults. */
  readonly config: object;
  /** The step that the run goes on from: 0 if it begins. What the logger has of later steps is to be forgotten. */
  readonly step: number;
}

/**
 * Follows a run: `begin`, then a line for each step, then `end`; each is awaited. One that throws is told of, and called
 * no more: the run goes on. Of several ranks the first one calls it.
 */
export interface Logger {
  /** For messages, such as `tensorboard`. */
  readonly name: string;
  /** Before the first step of `Trainer.run()`. */
  begin?(run: LoggedRun): void | Promise<void>;
  /** After each step, once its line is in `metrics.jsonl`. */
  step(line: MetricsLine): void | Promise<void>;
  /** After the last step, also of a run that is interrupted or fails. */
  end?(): void | Promise<void>;
}
