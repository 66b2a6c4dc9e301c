/**
 * Reads a run config. Paths in it (`data`, `init.from`, `out`) are relative to the working directory, not to the
 * config file, so that one file works wherever the data is.
 */
import { Arguments } from "../arguments.js";
import { inputLimits } from "../disk/input_limits.js";
import { parseJson } from "../disk/json.js";
import { readTextOrPipe } from "../disk/read_text.js";
import { ConfigError, unusable } from "../errors.js";
import type { LlamaConfig } from "../hf/llama_config.js";
import { checkConfig } from "./checks.js";
import type { ConfigValues, RunConfigInput } from "./config_types.js";
import { deepFreeze } from "./deep_freeze.js";
import { readModelSection } from "./model.js";
import { applyOverrides } from "./overrides.js";
import { checkRest } from "./partial_check.js";
import { describeIssues } from "./problems.js";
import { expandRecipe, recipeHint, recipeOf, recipeText, withStages } from "./recipes.js";
import { evalSchema, muonSchema, runConfigSchema } from "./schema.js";
import { checkValue } from "./value_limits.js";
import { parseYaml } from "./yaml.js";

/** A run config with every default filled in. It is frozen. */
export interface RunConfig extends Omit<ConfigValues, "recipe" | "model" | "init" | "out" | "eval" | "$schema"> {
  /** The model's shape; null if it comes from the checkpoint at `init.from`. */
  readonly model: LlamaConfig | null;
  /** A seed for random weights, or the folder of a checkpoint. */
  readonly init: { readonly seed: number } | { readonly from: string };
  /** The run's folder, relative to the working directory. */
  readonly out: string;
  /** How the run is evaluated; null if there is no held-out data. */
  readonly eval: NonNullable<ConfigValues["eval"]> | null;
}

/** The batch section: tokens or positions per step, positions per sequence, sequences per pass. */
export type BatchConfig = RunConfig["batch"];
/** The optimizer section: AdamW's settings and, if the type is muon, Muon's. */
export type OptimizerConfig = RunConfig["optimizer"];

/**
 * Reads a config file (JSON or YAML, under any name) and applies `--set` overrides to it.
 * @param options.set overrides such as `batch.tokensPerStep=65536`
 * @param options.log called with the keys that the config's recipe comes to, if it names one
 * @throws ConfigError with all problems, one per line
 *
 * @example
 * ```ts
 * import { loadRunConfig } from "nextpatch";
 *
 * const config = await loadRunConfig("config.yaml", { set: ["optimizer.lr=1e-3", "seed=2"] });
 * console.log(config.name, config.seed);
 * ```
 */
export async function loadRunConfig(
  path: string,
  options: { set?: readonly string[]; log?: (message: string) => void } = {},
): Promise<RunConfig> {
  const check = new Arguments("loadRunConfig");
  check.path("path", path);
  const { set = [], log } = check.options("options", options, ["set", "log"]);
  check.strings("set", set, 0);
  check.callback("log", log);
  let text: string;
  try {
    text = await readTextOrPipe(path, inputLimits.config);
  } catch (cause) {
    throw new ConfigError(`${path}: expected a run config but received ${unusable(cause)}`, { cause });
  }
  const recipes = set.filter((override) => override.startsWith("recipe="));
  const value = applyOverrides(withStages(applyOverrides(parseText(text, path), recipes)), set);
  const config = parseRunConfig(value, path);
  const recipe = recipeOf(value);
  if (recipe !== null) log?.(recipeText(recipe, config));
  return config;
}

/**
 * Makes a run's config of its keys, with every default filled in, for `Trainer.open`. An editor completes
 * and explains the keys; misspelled and mistyped ones do not compile, and are found at run time as in a file. The config of
 * a run can be given again with keys changed: leave out its `out` and `init` where another name or seed should decide.
 * @throws ConfigError with all problems, one per line
 *
 * @example
 * ```ts
 * import { defineConfig } from "nextpatch";
 *
 * const config = defineConfig({
 *   name: "mine",
 *   model: { preset: "tiny" },
 *   data: { train: "data/mine/train_*.bin", val: "data/mine/val_*.bin" },
 *   stages: [{ patchSize: 4, fraction: 0.6667 }, { patchSize: 1 }],
 *   batch: { tokensPerStep: 1024, sequenceLength: 32 },
 *   train: { epochs: 1 },
 * });
 * console.log(config.out, config.optimizer.lr); // runs/mine, and the default
 * ```
 */
export function defineConfig(config: RunConfigInput): RunConfig {
  return parseRunConfig(config, "config");
}

/**
 * Checks a config given as a plain value, expands its recipe and fills in its defaults.
 * @param where prefix of the keys in messages, such as the file's name
 * @throws ConfigError with all problems, one per line
 *
 * @example
 * ```ts
 * import { readFile } from "node:fs/promises";
 * import { parseRunConfig } from "nextpatch";
 *
 * const config = parseRunConfig(JSON.parse(await readFile("config.json", "utf8")), "config.json");
 * console.log(config.stages.map(({ patchSize }) => patchSize));
 * ```
 */
export function parseRunConfig(value: unknown, where = "config"): RunConfig {
  new Arguments("parseRunConfig").string("where", where);
  try {
    checkValue(value);
  } catch (cause) {
    throw new ConfigError(`${where}: expected a run config but received ${(cause as Error).message}`, { cause });
  }
  const problems: string[] = [];
  const report = (problem: string) => problems.push(`${where}: ${problem}${recipeHint(value, problem)}`);

  const expanded = withoutAbsent(expandRecipe(value));
  const result = runConfigSchema.safeParse(expanded, { reportInput: true });
  // The model is read even if the rest is wrong, so that its problems are reported with the others.
  const section = (value as { model?: unknown } | null | undefined)?.model;
  const model = isSection(section)
    ? readModelSection(section, (key, problem) => report(`model${key ? `.${key}` : ""}: ${problem}`))
    : null;
  const sound = problems.length === 0 ? model : null;
  if (!result.success) {
    describeIssues(result.error.issues, runConfigSchema).forEach(report);
    checkRest(expanded, result.error.issues, sound, report);
    throw new ConfigError(problems.join("\n"), { problems });
  }
  checkConfig(result.data, sound, report);
  if (problems.length > 0) throw new ConfigError(problems.join("\n"), { problems });

  const { init, out, eval: evaluation, recipe: _recipe, $schema: _schema, ...rest } = result.data;
  const { optimizer } = rest;
  return deepFreeze({
    ...rest,
    model,
    optimizer: optimizer.type === "muon" ? { ...optimizer, muon: optimizer.muon ?? muonSchema.parse({}) } : optimizer,
    init: init.from === undefined ? { seed: init.seed ?? rest.seed } : { from: init.from },
    out: out ?? `runs/${rest.name}`,
    eval: rest.data.val === undefined ? null : (evaluation ?? evalSchema.parse({})),
  });
}

/** The sections that a run's own `config.json` has as null, where the run has none. */
export const absentSections: readonly string[] = ["model", "eval"];

/** A config without the sections that are null. */
function withoutAbsent(value: unknown): unknown {
  if (!isSection(value)) return value;
  const absent = (key: string) => absentSections.includes(key) && value[key] === null;
  return Object.fromEntries(Object.entries(value).filter(([key]) => !absent(key)));
}

function isSection(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function parseText(text: string, path: string): unknown {
  try {
    // JSON is YAML except for tabs, which YAML does not allow as indentation.
    if (!text.trimStart().startsWith("{") || !text.includes("\t")) return parseYaml(text);
    const value = parseJson(text);
    checkValue(value);
    return value;
  } catch (cause) {
    const reason = (cause as Error).message.split("\n")[0];
    throw new ConfigError(`${path}: expected YAML or JSON but received other text: ${reason}`, { cause });
  }
}
