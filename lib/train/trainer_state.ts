/** `trainer/state.json` of a checkpoint: the progress of its run, and which run it is. */
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
const sha256 = z.string().regex(/^[0-9a-f]{64}$/, { error: "expected a SHA-256 in hexadecimal" });

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
  /** Joules, if the device counts them. */
  energy: amount.nullable(),
  /** Position of the next batch. */
  data: z.object({ epoch: count, tokens: count, taken: z.array(count).readonly().optional() }),
  /** Steps the optimizer has taken since its state was fresh. */
  optimizerSteps: count,
  /** The seed that, with the data position, is all the random state there is. */
  seed: count,
  /** SHA-256 of the run's product table; null: it has none. */
  productTable: sha256.nullable().default(null),
  /** Length of metrics.jsonl with the line of `step`, all of it on the disk; null: not noted. */
  metricsBytes: count.nullable().default(null),
  /** Hash of the config when the checkpoint was written; see config_hash.ts. */
  configHash: sha256,
});

/** The content of `trainer/state.json`. */
export type TrainerState = Readonly<z.output<typeof stateSchema>>;

/** The path of a checkpoint's state. */
export const statePath = (checkpoint: string): string => join(checkpoint, "trainer", "state.json");

/**
 * Reads a checkpoint's state and checks that it belongs to this run.
 * @throws CheckpointError naming the file, and the key that is missing, malformed or from another run
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

/** Where a run is after `step` steps, or at its end if it has fewer. */
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
