/** Runs an arm of a comparison, or the rest of it. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { ConfigError } from "../errors.js";
import { lastMetrics, type MetricsLine, readMetrics } from "../report/metrics.js";
import { Trainer } from "../train/trainer.js";
import { differences } from "./derive.js";
import type { Arm } from "./plan.js";
import { readRunJson } from "./run_json.js";

/** The state of an arm. */
export interface ArmState {
  /** Whether its folder holds a run, even one without a checkpoint yet. */
  readonly begun: boolean;
  /** Whether it is finished and the model is in its folder. */
  readonly finished: boolean;
}

const configOf = (arm: Arm) => join(arm.config.out, "config.json");
const metricsOf = (arm: Arm) => join(arm.config.out, "metrics.jsonl");

/**
 * Reads the state of an arm.
 * @throws ConfigError naming every key in which the run in its folder differs from the arm as planned, or the config
 *   there if it is damaged
 */
export async function armState(arm: Arm): Promise<ArmState> {
  const written = await readRunJson(configOf(arm), "a run's config");
  if (written === null) return { begun: false, finished: false };
  const changed = differences(written, arm.config);
  if (changed.length > 0) {
    throw new ConfigError(
      `${arm.config.out}: expected the config that the run there was begun with but received other values: ` +
        `${changed.join("; ")} (go on with the old ones, or compare in another folder: --set out=...)`,
    );
  }
  // The model is the last thing that a run writes.
  const whole = existsSync(metricsOf(arm)) && existsSync(join(arm.config.out, "model"));
  return { begun: true, finished: whole && (await lastMetrics(metricsOf(arm)))?.step === arm.steps };
}

/** The metrics lines of an arm's evaluations. @throws DataError */
export async function armEvaluations(arm: Arm): Promise<MetricsLine[]> {
  return readMetrics(metricsOf(arm), ({ valLoss }) => valLoss !== undefined);
}

export interface ArmRunOptions {
  /** Resume the run in the arm's folder. */
  readonly resume: boolean;
  readonly log: (message: string) => void;
  /** Stops after the current step, with a checkpoint. */
  readonly signal: AbortSignal | undefined;
  /** Called once the run is open. */
  readonly onOpen: (trainer: Trainer) => void;
  readonly onStep: (line: MetricsLine) => void;
}

/**
 * Trains an arm to its end, or until `signal` aborts.
 * @returns whether it is finished
 */
export async function runArm(arm: Arm, options: ArmRunOptions): Promise<boolean> {
  const { resume, log, signal, onOpen, onStep } = options;
  const trainer = await Trainer.open(arm.config, { resume, log });
  const { device } = trainer.model;
  try {
    onOpen(trainer);
    for await (const line of trainer.run()) {
      onStep(line);
      if (signal?.aborted && trainer.step < trainer.totalSteps) break;
    }
    return trainer.step === trainer.totalSteps;
  } finally {
    await trainer.close();
    device.trim(); // the next arm opens the device again
  }
}
