/** The size of a stage's step, which a config gives in tokens or in positions. */
import type { ConfigValues } from "./config_types.js";

type Batch = ConfigValues["batch"];
type Stage = Pick<ConfigValues["stages"][number], "patchSize" | "batch">;

/** A stage's batch: its own keys over the run's. A step's size of its own, in tokens or in positions, is the only one. */
export function batchOf(run: Batch, { batch: own = {} }: Stage): Batch {
  const { tokensPerStep, positionsPerStep, ...rest } = run;
  const size = ownsStepSize(own) ? {} : { tokensPerStep, positionsPerStep };
  return { ...rest, ...size, ...own } as Batch;
}

/** Whether a stage's batch section gives the size of its steps. */
export function ownsStepSize({ tokensPerStep, positionsPerStep }: NonNullable<Stage["batch"]>): boolean {
  return tokensPerStep !== undefined || positionsPerStep !== undefined;
}

/** Tokens of a step of patches of `patchSize` tokens. */
export function tokensPerStep(batch: Pick<Batch, "tokensPerStep" | "positionsPerStep">, patchSize: number): number {
  return batch.tokensPerStep ?? batch.positionsPerStep! * patchSize;
}
