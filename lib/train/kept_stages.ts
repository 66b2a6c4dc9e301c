/** A run that goes on for longer: its last stage gets what is more, and the stages before it stay as long as they are. */
import type { RunConfig } from "../config/config.js";
import { deepFreeze } from "../config/deep_freeze.js";
import type { ResolvedStage } from "../config/stages.js";
import { changedKeys, type DecisiveValues, decisiveValues, howToChange, isLength } from "./config_hash.js";
import { configOf, readWrittenRun, writtenAt } from "./written_run.js";

/**
 * The steps of all stages but the last that a run keeps where its config has another length; null: the config says
 * itself how long they are, or has no other length. It does if its shares are none that the run's config has had.
 * @param from the step of the checkpoint to go on from; null: the newest
 */
export async function keptStages(
  config: RunConfig,
  from: number | null,
  resolve: (config: RunConfig) => Promise<readonly ResolvedStage[]>,
): Promise<readonly number[] | null> {
  const { stages } = config;
  if (stages.length === 1 || !coverRun(stages)) return null;
  const run = await readWrittenRun(config.out);
  const values = decisiveValues(config);
  const before = writtenAt(run, from);
  const changed = changedKeys(before, values);
  const mayChange = (key: string) => isLength(key) || (from !== null && howToChange(key) === "tunable");
  if (!changed.some(isLength) || !changed.every(mayChange)) return null; // the others are refused
  const earlier = [run.values, ...run.changes.map(({ step }) => writtenAt(run, step))];
  if (!earlier.some((each) => changedKeys(sharesIn(each), sharesIn(values)).length === 0)) return null;
  const kept = await resolve(configOf(before, config));
  return kept.length === stages.length ? kept.slice(0, -1).map(({ steps }) => steps) : null;
}

/** A config whose first stages have so many steps, and whose last one gets the rest. */
export function withKept(config: RunConfig, kept: readonly number[]): RunConfig {
  const stages = config.stages.map(({ fraction: _share, of: _unit, steps: _steps, ...stage }, index) => {
    const steps = kept[index];
    return steps === undefined ? stage : { ...stage, steps };
  });
  return deepFreeze({ ...config, stages });
}

/** Whether the stages take up the whole run, so that the last of them can get what is more. */
function coverRun(stages: RunConfig["stages"]): boolean {
  const open = stages.some(({ fraction, steps }) => (fraction ?? steps) === undefined);
  return open || stages.reduce((sum, { fraction }) => sum + (fraction ?? 0), 0) > 1 - 1e-9;
}

/** How long the stages are, as far as their own keys say it. */
function sharesIn(values: DecisiveValues): DecisiveValues {
  return new Map([...values].filter(([key]) => isLength(key) && key.startsWith("stages.")));
}
