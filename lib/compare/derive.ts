/** Configs derived from a config: the same run except for the named keys, checked as if read from a file. */
import { parseRunConfig, type RunConfig } from "../config/config.js";
import type { RecipeName } from "../config/recipes.js";

/**
 * A copy of `config` with some sections replaced.
 * @param where prefix of the keys in messages about the result
 * @throws ConfigError with all problems, one per line
 */
export function deriveConfig(config: RunConfig, changes: Readonly<Record<string, unknown>>, where: string): RunConfig {
  return parseRunConfig({ ...asGiven(config), ...changes }, where);
}

/**
 * A copy of `config` that follows a recipe, whatever its own stages are: what the recipe stands for is the recipe's.
 * @throws ConfigError with all problems, one per line
 */
export function withRecipe(config: RunConfig, recipe: RecipeName): RunConfig {
  const { stages: _stages, keepOptimizer: _kept, schedule, ...rest } = asGiven(config);
  const { perStage: _once, ...schedules } = schedule;
  return parseRunConfig({ ...rest, schedule: schedules, recipe }, recipe);
}

/** A run config as its file would have it: what is null in the one is omitted in the other. */
function asGiven(config: RunConfig) {
  const { model, eval: evaluation, ...rest } = config;
  return { ...rest, ...(model && { model }), ...(evaluation && { eval: evaluation }) };
}

/** Keys that losses do not depend on but by rounding; a run's environment has the device and the table it ran with. */
const free: ReadonlySet<string> = new Set(["name", "out", "checkpoint", "device", "parallel", "productTable"]);

/**
 * The keys, with both values, in which a run config differs from the one read back from its folder in a way that
 * matters to a comparison: `optimizer.lr: 0.001 before, 0.002 now`.
 */
export function differences(before: unknown, now: RunConfig): string[] {
  const plain = JSON.parse(JSON.stringify(now)) as Record<string, unknown>;
  const old = before as Record<string, unknown>;
  return unique([...Object.keys(old), ...Object.keys(plain)])
    .filter((key) => !free.has(key))
    .flatMap((key) => differing(old[key], plain[key], key));
}

function differing(before: unknown, now: unknown, path: string): string[] {
  if (JSON.stringify(before) === JSON.stringify(now)) return [];
  if (isSection(before) && isSection(now)) {
    return unique([...Object.keys(before), ...Object.keys(now)]).flatMap((key) =>
      differing(before[key], now[key], `${path}.${key}`),
    );
  }
  const show = (value: unknown) => (value === undefined ? "nothing" : JSON.stringify(value));
  return [`${path}: ${show(before)} before, ${show(now)} now`];
}

function isSection(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function unique(keys: readonly string[]): string[] {
  return [...new Set(keys)];
}
