/** Trains a run of a comparison, or the rest of it. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { ConfigError, DataError } from "../errors.js";
import { lastMetrics, type MetricsLine, readMetrics } from "../report/metrics.js";
import type { SharedRuns } from "../train/shared_runs.js";
import { Trainer } from "../train/trainer.js";
import type { ArmRun } from "./arm.js";
import { differences } from "./derive.js";
import { readRunJson } from "./run_json.js";

/** The state of a run. */
export interface RunState {
  /** Whether its folder holds a run, even one without a checkpoint yet. */
  readonly begun: boolean;
  /** Whether it is trained to its end. */
  readonly trained: boolean;
  /** Whether its model is in its folder: the last thing that a run writes. */
  readonly saved: boolean;
}

const configOf = ({ config }: ArmRun) => join(config.out, "config.json");
const metricsOf = ({ config }: ArmRun) => join(config.out, "metrics.jsonl");

/**
 * Reads the state of a run.
 * @throws ConfigError naming every key in which what is in its folder differs from the run as planned, or the config
 *   there if it is damaged
 */
export async function runState(run: ArmRun): Promise<RunState> {
  const { out } = run.config;
  const written = await readRunJson(configOf(run), "a run's config");
  if (written === null) return { begun: false, trained: false, saved: false };
  const changed = differences(written, run.config);
  if (changed.length > 0) {
    throw new ConfigError(
      `${out}: expected the config that the run there was begun with but received other values: ` +
        `${changed.join("; ")} (go on with the old ones, or compare in another folder: --set out=...)`,
    );
  }
  const trained = existsSync(metricsOf(run)) && (await lastMetrics(metricsOf(run)))?.step === run.steps;
  return { begun: true, trained, saved: trained && existsSync(join(out, "model")) };
}

/** The metrics lines of a finished run's evaluations. @throws DataError if they are damaged or gone */
export async function runEvaluations(run: ArmRun): Promise<MetricsLine[]> {
  const path = metricsOf(run);
  const lines = await readMetrics(path, ({ valLoss }) => valLoss !== undefined);
  if (lines.at(-1)?.step === run.steps) return lines;
  throw new DataError(
    `${path}: expected the evaluations of a finished run but received ` +
      `${lines.length === 0 ? "none" : `those up to step ${lines.at(-1)!.step} of ${run.steps}`} ` +
      `(delete ${run.config.out} to train it again)`,
  );
}

export interface TrainRunOptions {
  /** The ranks that train it together, if there are several. */
  readonly shared: SharedRuns;
  /** Resume the run in the folder. */
  readonly resume: boolean;
  readonly log: (message: string) => void;
  /** Stops after the current step, with a checkpoint. */
  readonly signal: AbortSignal | undefined;
  /** Called once the run is open. */
  readonly onOpen: (trainer: Trainer) => void;
  readonly onStep: (line: MetricsLine) => void;
}

/**
 * Trains a run to its end, or until `signal` aborts.
 * @returns whether it is finished
 */
export async function trainRun(run: ArmRun, options: TrainRunOptions): Promise<boolean> {
  const { shared, resume, log, signal, onOpen, onStep } = options;
  await shared.begin(run.config, resume);
  const trainer = await Trainer.open(run.config, { resume, log });
  const { device } = trainer.model;
  const stop = () => trainer.requestStop();
  signal?.addEventListener("abort", stop);
  try {
    onOpen(trainer);
    for await (const line of trainer.run()) {
      onStep(line);
      if (signal?.aborted) stop(); // also of before the run was open
    }
    return trainer.step === trainer.totalSteps;
  } finally {
    signal?.removeEventListener("abort", stop);
    await trainer.close();
    device.trim(); // the next run opens the device again
  }
}
