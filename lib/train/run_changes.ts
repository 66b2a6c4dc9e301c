/** `changes.json` of a run: from which steps on its config was another one. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { asWritten, describeIssues } from "../config/problems.js";
import { writeText } from "../disk/durable.js";
import { inputLimits } from "../disk/input_limits.js";
import { parseJson } from "../disk/json.js";
import { readText } from "../disk/read_text.js";
import { CheckpointError } from "../errors.js";
import { type DecisiveValues, howToChange } from "./config_hash.js";

const count = z.int().min(0);

const changeSchema = z.strictObject({
  /** The checkpoint that the run went on from. */
  step: z.int().min(1),
  /** The run's tokens and positions up to there. */
  tokens: count,
  positions: count,
  /** When that was. */
  time: z.string(),
  /** The values of each key before and after; one that is left out was not set. */
  changed: z.record(z.string(), z.strictObject({ before: z.unknown().optional(), after: z.unknown().optional() })),
});

const changesSchema = z.array(changeSchema);

/** A change of a run's config. */
export type RunChange = Readonly<z.output<typeof changeSchema>>;

const pathOf = (folder: string): string => join(folder, "changes.json");

/** The changes of a run, the oldest first. @throws CheckpointError if the file is damaged */
export async function readChanges(folder: string): Promise<readonly RunChange[]> {
  const path = pathOf(folder);
  if (!existsSync(path)) return [];
  let json: unknown;
  try {
    json = parseJson(await readText(path, inputLimits.json));
  } catch (cause) {
    throw new CheckpointError(
      `${path}: expected the changes of the run's config but cannot read them: ${(cause as Error).message}`,
      {
        cause,
      },
    );
  }
  const result = changesSchema.safeParse(json, { reportInput: true });
  if (result.success) return result.data;
  throw new CheckpointError(`${path}: ${describeIssues(result.error.issues, changesSchema).join("; ")}`);
}

/** Replaces the changes of a run. */
export async function writeChanges(folder: string, changes: readonly RunChange[]): Promise<void> {
  await writeText(pathOf(folder), `${JSON.stringify(changes, null, 2)}\n`);
}

/** A change, a sentence for each key. */
export function inWords({ step, changed }: Pick<RunChange, "step" | "changed">): string[] {
  const text = (value: unknown): string => JSON.stringify(value) ?? "not set";
  return Object.entries(changed).map(
    ([key, { before, after }]) => `${asWritten(key)}: ${text(before)} up to step ${step}, then ${text(after)}`,
  );
}

/** The values that the checkpoint of a step was written with. @param now those of the run's config */
export function valuesAt(now: DecisiveValues, changes: readonly RunChange[], step: number): DecisiveValues {
  const values = new Map(now);
  for (const { changed } of changes.filter((change) => change.step >= step).toReversed()) {
    for (const [key, { before }] of Object.entries(changed)) {
      if (before === undefined) values.delete(key);
      else values.set(key, JSON.stringify(before));
    }
  }
  return values;
}

/** Where the counts of steps, tokens and positions begin. */
export type CountedFrom = Pick<RunChange, "step" | "tokens" | "positions">;

/**
 * Where a run began to be what its config says, as far as the counts of its checkpoint at `step` go.
 * @returns null: only later
 */
export function countedFrom(changes: readonly RunChange[], step: number): CountedFrom | null {
  const forced = changes.filter(({ changed }) => Object.keys(changed).some((key) => howToChange(key) === "forced"));
  const last = forced.at(-1);
  if (last === undefined) return { step: 0, tokens: 0, positions: 0 };
  return last.step < step ? { step: last.step, tokens: last.tokens, positions: last.positions } : null;
}
