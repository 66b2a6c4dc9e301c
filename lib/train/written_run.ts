/** The config that a run's folder has, as it is now and as it was at its checkpoints. */
import { join } from "node:path";
import { show } from "../arguments.js";
import { parseRunConfig, type RunConfig } from "../config/config.js";
import { inputLimits } from "../disk/input_limits.js";
import { parseJson } from "../disk/json.js";
import { readText } from "../disk/read_text.js";
import { ConfigError } from "../errors.js";
import { type DecisiveValues, decisiveValues, freeSections } from "./config_hash.js";
import { type RunChange, readChanges, valuesAt } from "./run_changes.js";

export interface WrittenRun {
  /** What counts of the config in the folder. */
  readonly values: DecisiveValues;
  /** The changes that it has come to be so by, the oldest first. */
  readonly changes: readonly RunChange[];
}

/** @throws ConfigError, CheckpointError if a file is damaged */
export async function readWrittenRun(folder: string): Promise<WrittenRun> {
  const values = decisiveValues(await readWritten(join(folder, "config.json")));
  return { values, changes: await readChanges(folder) };
}

/** What the config was at the checkpoint of a step; null: as it is now. */
export function writtenAt({ values, changes }: WrittenRun, step: number | null): DecisiveValues {
  return step === null ? values : valuesAt(values, changes, step);
}

/** The config of these values. @param current has what does not count */
export function configOf(values: DecisiveValues, current: RunConfig): RunConfig {
  const config: Record<string, unknown> = Object.fromEntries(freeSections.map((key) => [key, current[key]]));
  for (const [key, json] of values) put(config, key.split("."), JSON.parse(json));
  return parseRunConfig(config, join(current.out, "config.json"));
}

/** Sets a value below an object. Numbers among the parts of its key are places in lists. */
function put(at: Record<string, unknown>, [first, ...rest]: readonly string[], value: unknown): void {
  const [next] = rest;
  if (next === undefined) {
    at[first!] = value;
    return;
  }
  at[first!] ??= /^\d+$/.test(next) ? [] : {};
  put(at[first!] as Record<string, unknown>, rest, value);
}

async function readWritten(path: string): Promise<object> {
  let config: unknown;
  try {
    config = parseJson(await readText(path, inputLimits.smallJson));
  } catch (cause) {
    throw new ConfigError(`${path}: cannot be read: ${(cause as Error).message}`, { cause });
  }
  if (typeof config === "object" && config !== null) return config;
  throw new ConfigError(`${path}: expected a run's config but received ${show(config)}`);
}
