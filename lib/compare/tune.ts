/** Chooses each arm's learning rate, or schedule, by shorter runs of it. */
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { ConfigError } from "../errors.js";
import { TrainingDiverged } from "../train/skipped_updates.js";
import type { ArmRun } from "./arm.js";
import { recordDivergence, recordedLoss, recordLoss } from "./run_evaluation.js";
import type { Runner } from "./runner.js";
import type { Settings } from "./setting.js";
import type { ArmTuning } from "./tune_runs.js";
import { bestOf, searchGrid, type TunePoint } from "./tune_search.js";

/** What tuning found for an arm. */
export interface TuneResult {
  /** Steps of each run. */
  readonly steps: number;
  /** By schedule, then in ascending order of the rate. */
  readonly grid: readonly TunePoint[];
  /** The one with the lowest loss. */
  readonly best: TunePoint;
}

/** By the arm's key: `baseline`, and the methods'. */
export type TuneResults = Readonly<Record<string, TuneResult>>;

/** The settings that tuning came to. */
export function settingsOf(results: TuneResults): Settings {
  return new Map(Object.entries(results).map(([key, { best }]) => [key, { lr: best.lr, schedule: best.schedule }]));
}

/**
 * Tunes every arm, one after the other.
 * @throws ConfigError if an arm diverged in every run; ComparisonInterrupted; and what `Trainer` throws
 */
export async function tuneArms(
  arms: readonly ArmTuning[],
  runner: Runner,
  log: (message: string) => void,
): Promise<TuneResults> {
  const results: Record<string, TuneResult> = {};
  for (const { key, label, rates, schedules, run, grid: planned } of arms) {
    const byFolder = new Map(planned.map((each) => [each.config.out, each]));
    const grid = await searchGrid({
      rates,
      schedules,
      measure: async (lr, schedule) => {
        const made = run({ lr, schedule });
        const known = byFolder.get(made.config.out);
        if (known === undefined) runner.insert(made);
        return lossOfRun(known ?? made, runner);
      },
      onBeyond: ({ lr }, beyond) => log(`tune: ${label} is best at ${lr}, the edge of the grid: trying ${beyond}`),
    });
    const best = bestOf(grid);
    if (Number.isNaN(best.valLoss)) {
      const tried = grid.map(({ lr }) => lr).join(", ");
      throw new ConfigError(`tune: expected a rate at which ${label} does not diverge but received ${tried}`);
    }
    log(`tune: ${label} is best at lr ${best.lr}${schedules.length > 1 ? `, ${best.schedule}` : ""}`);
    results[key] = { steps: planned[0]!.steps, grid, best };
  }
  return results;
}

/** The loss of a tuning run, which is all that is kept of its model; NaN if it diverged. */
async function lossOfRun(run: ArmRun, runner: Runner): Promise<number> {
  await runner.check(run);
  if ((await recordedLoss(run)) !== null) {
    runner.skip(run);
  } else {
    try {
      await runner.train(run);
      await recordLoss(run, runner.testing(run));
    } catch (error) {
      if (!(error instanceof TrainingDiverged)) throw error;
      await recordDivergence(run);
    }
  }
  for (const folder of ["checkpoints", "model"]) {
    await rm(join(run.config.out, folder), { recursive: true, force: true });
  }
  return (await recordedLoss(run))!.valLoss;
}
