/** Whether a run may go on with another length, and if not, what can be done. */
import { either } from "../arguments.js";
import { type ResolvedStage, stepsOf } from "../config/stages.js";
import { ConfigError } from "../errors.js";
import { checkpointName } from "./checkpoint.js";
import { type Difference, firstDifference } from "./first_difference.js";
import { type RunCheckpoints, stepOf } from "./run_checkpoints.js";

/** A run's stages as they were, and as its config has them now. */
export interface OldAndNew {
  readonly before: readonly ResolvedStage[];
  readonly after: readonly ResolvedStage[];
}

/** @throws ConfigError for a run that would end earlier, which nobody should come to by an old config */
export function checkNotShorter({ before, after }: OldAndNew): void {
  if (stepsOf(after) >= stepsOf(before)) return;
  throw new ConfigError(
    `--resume: train: expected a length of at least the run's ${stepsOf(before)} steps but received ${stepsOf(after)}; ` +
      "if the run was made longer, put that length into the config; " +
      "a run is made shorter from one of its checkpoints (--from step-N)",
  );
}

/** @throws ConfigError if what a run has done is not what it would have done with its new length, with what can be done */
export async function checkExtension(
  checkpoints: RunCheckpoints,
  { before, after }: OldAndNew,
  done: number,
  flag: string,
  { ownRates }: { readonly ownRates: boolean },
): Promise<void> {
  const difference = firstDifference(before, after, !ownRates);
  if (difference === null || difference.step >= done) return;
  const usable = (await checkpoints.names()).filter((name) => stepOf(name) <= difference.step).at(-1);
  const last = checkpointName(done);
  const ways = [
    ...(usable === undefined ? [] : [`go on from the newest checkpoint from before that (--resume --from ${usable})`]),
    `begin a new run with the weights (init.from: ${checkpoints.path(last)})`,
    `go on all the same (--resume --from ${last} --force)`,
  ];
  throw new ConfigError(
    `${flag}: train: expected the run's length of ${stepsOf(before)} steps, as ${reason(difference, before, done)}, ` +
      `but received ${stepsOf(after)}; ${either(ways)}`,
  );
}

function reason({ step, stage, schedule }: Difference, before: readonly ResolvedStage[], done: number): string {
  if (schedule === null) {
    return `stages[${stage}] has ${before[stage]!.steps} steps in it, and ${done} steps of the run are done`;
  }
  return `the learning rates of stages[${stage}] (${schedule}) depend on it from step ${step + 1} on, and ${done} steps are done`;
}
