/** Warm-ups that are as long as a stage. */
import type { ResolvedStage } from "./stages.js";

type Part = Pick<ResolvedStage, "index" | "patchSize" | "firstStep" | "steps" | "scheduleFirstStep"> & {
  readonly schedule: Pick<ResolvedStage["schedule"], "warmupSteps">;
};

/** What to say of the stages that train with a rising rate to their end: a line each. */
export function endlessWarmups(stages: readonly Part[]): string[] {
  return stages
    .filter(({ firstStep, steps, schedule: { warmupSteps }, scheduleFirstStep }) => {
      return warmupSteps > 1 && scheduleFirstStep + warmupSteps >= firstStep + steps;
    })
    .map(({ index, patchSize, steps, schedule: { warmupSteps } }) => {
      return (
        `stages[${index}] (K = ${patchSize}): the learning rate rises through all its ${steps} steps: ` +
        `schedule.warmupSteps is ${warmupSteps}`
      );
    });
}
