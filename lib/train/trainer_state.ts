/** `trainer/state.json` of a checkpoint: how far its run was, and which run that is. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import type { RunConfig } from "../config/config.js";
import { describeIssues } from "../config/problems.js";
import type { ResolvedStage } from "../config/stages.js";
import { CheckpointError } from "../errors.js";
import { configHash } from "./config_hash.js";

const count = z.int().min(0);
const amount = z.number().min(0);

const stateSchema = z.object({
  /** Steps done in the run. */
  step: z.int().min(1),
  /** The stage of the last step. */
  stage: count,
  tokens: count,
  positions: count,
  flops: amount,
  seconds: amount,
  time: z.object({
    data: amount,
    embedding: amount,
    transformer: amount,
    head: amount,
    optimizer: amount,
    idle: amount,
  }),
  /** Joules, where the device counts them. */
  energy: amount.nullable(),
  /** Where the next batch is read. */
  data: z.object({ epoch: count, tokens: count }),
  /** Steps the optimizer has taken since its state was fresh. */
  optimizerSteps: count,
  /** The seed that, with the data position, is all the random state there is. */
  seed: count,
  /** Of the config that the checkpoint was written under; see config_hash.ts. */
  configHash: z.string().regex(/^[0-9a-f]{64}$/, { error: "expected a SHA-256 in hexadecimal" }),
});

/** What `trainer/state.json` holds. */
export type TrainerState = Readonly<z.output<typeof stateSchema>>;

/** Where a checkpoint has its state. */
export const statePath = (checkpoint: string): string => join(checkpoint, "trainer", "state.json");

/**
 * Reads a checkpoint's state, and checks that it is one of this run.
 * @throws CheckpointError naming the file, and the key that is missing, malformed or of another run
 */
export async function readTrainerState(
  checkpoint: string,
  config: RunConfig,
  stages: readonly ResolvedStage[],
): Promise<TrainerState> {
  const path = statePath(checkpoint);
  let json: unknown;
  try {
    json = JSON.parse(await readFile(path, "utf8"));
  } catch (cause) {
    throw new CheckpointError(`${path}: cannot be read: ${(cause as Error).message}`, { cause });
  }
  const result = stateSchema.safeParse(json, { reportInput: true });
  if (!result.success) {
    throw new CheckpointError(`${path}: ${describeIssues(result.error.issues, stateSchema).join("; ")}`);
  }
  const expected = { ...reached(stages, result.data.step), seed: config.seed, configHash: configHash(config) };
  for (const key of Object.keys(expected) as (keyof typeof expected)[]) {
    if (result.data[key] === expected[key]) continue;
    throw new CheckpointError(
      `${path}: ${key}: expected ${expected[key]}, as the run's config has it but received ${result.data[key]}`,
    );
  }
  return result.data;
}

/** Where a run is after `step` steps, or after all where it has fewer. */
function reached(stages: readonly ResolvedStage[], step: number) {
  const at = { step: 0, stage: 0, tokens: 0, positions: 0 };
  for (const stage of stages) {
    const steps = Math.min(stage.steps, step - at.step);
    if (steps === 0) break;
    at.step += steps;
    at.stage = stage.index;
    at.tokens += steps * stage.tokensPerStep;
    at.positions += steps * stage.positionsPerStep;
  }
  return at;
}
