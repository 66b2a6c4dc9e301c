/** `trainer/state.json` of a checkpoint: the progress of its run, and which run it is. */
import { join } from "node:path";
import { z } from "zod";
import { describeIssues } from "../config/problems.js";
import { type ResolvedStage, stepsOf } from "../config/stages.js";
import { inputLimits } from "../disk/input_limits.js";
import { parseJson } from "../disk/json.js";
import { readText } from "../disk/read_text.js";
import { CheckpointError } from "../errors.js";
import { guardSchema } from "./guard.js";
import type { CountedFrom } from "./run_changes.js";
import { noneSkipped, skippedSchema } from "./skipped_updates.js";

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
  optimizerFlops: amount.default(0),
  seconds: amount,
  time: z.object({
    data: amount,
    embedding: amount,
    transformer: amount,
    head: amount,
    optimizer: amount,
    communication: amount.optional(),
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
  /** Updates that were skipped. */
  skipped: skippedSchema.default(noneSkipped),
  /** What the guard has seen; null: the run has none. */
  guard: guardSchema.nullable().default(null),
  /** The lowest validation loss so far, of a run that keeps its checkpoint; null: it keeps none, or has none yet. */
  best: z
    .object({ step: z.int().min(1), valLoss: z.number() })
    .nullable()
    .default(null),
  /** SHA-256 of the run's product table; null: it has none. */
  productTable: sha256.nullable().default(null),
  /** Length of metrics.jsonl with the line of `step`, all of it on the disk; null: not noted. */
  metricsBytes: count.nullable().default(null),
  /** Hash of the config when the checkpoint was written; see config_hash.ts. */
  configHash: sha256,
});

/** The content of `trainer/state.json`. */
export type TrainerState = Readonly<z.output<typeof stateSchema>>;

/** Where a checkpoint has its state. */
export const STATE_FILE = "trainer/state.json";

/** The path of a checkpoint's state. */
export const statePath = (checkpoint: string): string => join(checkpoint, STATE_FILE);

/** What the state of a run's checkpoint has, as far as it is known before it is read. */
export interface ExpectedState {
  /** Of the config that it was written with. */
  readonly configHash: string;
  readonly seed: number;
  /** Where the config's stages begin to count; null: later, so that they do not tell this checkpoint's tokens. */
  readonly countedFrom: CountedFrom | null;
}

/**
 * Reads a checkpoint's state and checks that it belongs to this run.
 * @throws CheckpointError naming the file, and the key that is missing, malformed or from another run
 */
export async function readTrainerState(
  checkpoint: string,
  { configHash, seed, countedFrom }: ExpectedState,
  stages: readonly ResolvedStage[],
): Promise<TrainerState> {
  const path = statePath(checkpoint);
  let json: unknown;
  try {
    json = parseJson(await readText(path, inputLimits.smallJson));
  } catch (cause) {
    throw new CheckpointError(`${path}: cannot be read: ${(cause as Error).message}`, { cause });
  }
  const result = stateSchema.safeParse(json, { reportInput: true });
  if (!result.success) {
    throw new CheckpointError(`${path}: ${describeIssues(result.error.issues, stateSchema).join("; ")}`);
  }
  const { step } = result.data;
  const counted = countedFrom === null ? { step: Math.min(step, stepsOf(stages)) } : reached(stages, step, countedFrom);
  const expected = { ...counted, seed, configHash };
  for (const key of Object.keys(expected) as (keyof typeof expected)[]) {
    if (result.data[key] === expected[key]) continue;
    throw new CheckpointError(
      `${path}: ${key}: expected ${expected[key]}, as the run's config has it, but received ${result.data[key]}`,
    );
  }
  return result.data;
}

/** Where a run is after `step` steps, or at its end if it has fewer. */
function reached(stages: readonly ResolvedStage[], step: number, from: CountedFrom) {
  const at = { ...from, stage: 0 };
  for (const stage of stages) {
    const begin = Math.max(at.step, stage.firstStep);
    const steps = Math.min(stage.firstStep + stage.steps, step) - begin;
    if (steps <= 0) continue;
    at.step += steps;
    at.stage = stage.index;
    at.tokens += steps * stage.tokensPerStep;
    at.positions += steps * stage.positionsPerStep;
  }
  return at;
}
