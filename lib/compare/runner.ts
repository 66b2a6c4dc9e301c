/** Brings the runs of a comparison to their ends, from wherever earlier calls have left them. */

import type { Environment } from "../report/environment.js";
import type { SharedRuns } from "../train/shared_runs.js";
import type { Trainer } from "../train/trainer.js";
import type { ArmRun } from "./arm.js";
import { type RunState, runState, trainRun } from "./arm_run.js";
import { checkSameConditions, recordEnvironment, recordedEnvironments } from "./environment.js";
import { forgetEvaluation } from "./evaluation_record.js";
import { type CompareProgress, ProgressCounter } from "./progress.js";

/**
 * A comparison that was stopped before its end.
 *
 * @example
 * ```ts
 * import { ComparisonInterrupted, compare, loadRunConfig } from "nextpatch";
 *
 * try {
 *   const { files } = await compare(await loadRunConfig("config.yaml"), { signal: AbortSignal.timeout(3_600_000) });
 *   console.log(files.html);
 * } catch (error) {
 *   if (!(error instanceof ComparisonInterrupted)) throw error;
 *   console.log("An hour is over. The same call goes on.");
 * }
 * ```
 */
export class ComparisonInterrupted extends Error {
  override name = "ComparisonInterrupted";
}

export interface RunnerOptions {
  /** That of this process. */
  readonly environment: Environment;
  readonly log: (message: string) => void;
  readonly onProgress: (progress: CompareProgress) => void;
  /** Called with the trainer of each run before its first step. */
  readonly onRun: (trainer: Trainer) => void;
  readonly signal: AbortSignal | undefined;
  /** The ranks that train the runs together, if there are several. */
  readonly shared: SharedRuns;
}

export class Runner {
  #counter = new ProgressCounter([]);

  constructor(private readonly options: RunnerOptions) {}

  /** Says which runs there are, in their order: progress is counted in them. */
  expect(runs: readonly ArmRun[]): void {
    this.#counter = new ProgressCounter(runs);
  }

  /** Says that there is one more, which is next. */
  insert(run: ArmRun): void {
    this.#counter.insert(run);
  }

  /** Says that other runs are to come than was expected. */
  replace(expected: readonly ArmRun[], runs: readonly ArmRun[]): void {
    this.#counter.replace(expected, runs);
  }

  /**
   * The state of a run.
   * @throws ConfigError if what is in its folder cannot be compared with what is run now
   */
  async check(run: ArmRun): Promise<RunState> {
    const state = await runState(run);
    for (const before of await recordedEnvironments(run.config.out)) {
      checkSameConditions(run.config.out, before, this.options.environment);
    }
    return state;
  }

  /** Counts a run that needs no training, and says so. */
  skip(run: ArmRun): void {
    this.options.log(`${run.config.out} holds the finished run: ${run.label}`);
    this.#counter.skip(run);
  }

  /** Trains a run to its end. @throws ComparisonInterrupted; ConfigError as `check`; what `Trainer` throws */
  async train(run: ArmRun): Promise<void> {
    const { environment, log, onProgress, onRun, signal, shared } = this.options;
    const { begun, saved } = await this.check(run);
    if (saved) return this.skip(run);
    if (signal?.aborted) throw new ComparisonInterrupted(`interrupted before the run ${run.label}`);
    await recordEnvironment(run.config.out, environment);
    await forgetEvaluation(run);
    log(`${run.config.out}: ${run.label}`);
    let last = 0;
    const done = await trainRun(run, {
      shared,
      resume: begun,
      log,
      signal,
      onOpen: (trainer) => {
        last = trainer.step;
        this.#counter.open(run, last);
        onRun(trainer);
      },
      onStep: (line) => {
        last = line.step;
        onProgress(this.#counter.step(run, line));
      },
    });
    if (!done) throw new ComparisonInterrupted(`interrupted in the run ${run.label} at step ${last} of ${run.steps}`);
  }

  /**
   * A callback for tests of a run's model, or of the one that is continued (null), which tells of them, and ends them when
   * the signal aborts.
   */
  testing(run: ArmRun | null) {
    return (what: string, done: number, of: number): void => {
      const { signal, onProgress } = this.options;
      const name = run ? `the run ${run.label}` : "the model that is continued";
      if (signal?.aborted) throw new ComparisonInterrupted(`interrupted while ${name} was tested`);
      onProgress(this.#counter.tested(run, what, done, of));
    };
  }
}
