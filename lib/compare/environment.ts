/** The environments of a comparison's runs: what they must have in common, and where they are noted. */
import { join } from "node:path";
import { makeFolder, writeText } from "../disk/durable.js";
import { ConfigError } from "../errors.js";
import type { Environment } from "../report/environment.js";
import { readRunJson } from "./run_json.js";

/** What a run's losses depend on beyond its config: arms that differ in it cannot be compared. */
const ofLosses = ["precision", "trainTokens", "valTokens"] as const satisfies readonly (keyof Environment)[];

/** What a run's seconds depend on. On other devices losses differ by rounding only, as they do between runs. */
const ofSeconds = [
  "device",
  "precision",
  "threads",
  "ranks",
  "processor",
  "productTable",
] as const satisfies readonly (keyof Environment)[];

const fileOf = (runFolder: string) => join(runFolder, "environment.json");

/**
 * The environments that the run in a folder was trained in, from its beginning on: several if it was resumed in
 * another. None: there is no run. @throws ConfigError if damaged
 */
export async function recordedEnvironments(runFolder: string): Promise<readonly Environment[]> {
  const recorded = (await readRunJson(fileOf(runFolder), "a run's environment")) as Environment | Environment[] | null;
  return recorded === null ? [] : [recorded].flat();
}

/** Notes in a run's folder, which is created if needed, that the run begins or goes on in an environment. */
export async function recordEnvironment(runFolder: string, environment: Environment): Promise<void> {
  const before = await recordedEnvironments(runFolder);
  const last = before.at(-1);
  if (last !== undefined && sameSeconds(last, environment)) return;
  await makeFolder(runFolder);
  await writeText(fileOf(runFolder), `${JSON.stringify([...before, environment], null, 2)}\n`);
}

/** Whether seconds measured in two environments can be compared. */
export function sameSeconds(one: Environment, other: Environment): boolean {
  return differing(ofSeconds, one, other).length === 0;
}

/**
 * Rejects a comparison that would mix runs of two precisions, or of two sets of data.
 * @throws ConfigError
 */
export function checkSameConditions(runFolder: string, before: Environment, now: Environment): void {
  const changed = differing(ofLosses, before, now);
  if (changed.length === 0) return;
  const list = changed.map((key) => `${key}: ${before[key] ?? "not set"} before, ${now[key] ?? "not set"} now`);
  throw new ConfigError(
    `${runFolder}: expected the conditions under which the run there was begun but received others, which cannot be ` +
      `compared: ${list.join("; ")} (go on under the old ones, or compare in another folder: --set out=...)`,
  );
}

function differing<Key extends keyof Environment>(keys: readonly Key[], one: Environment, other: Environment): Key[] {
  return keys.filter((key) => (one[key] ?? null) !== (other[key] ?? null));
}
