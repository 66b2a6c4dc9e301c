/** The checks of `compare`'s arguments. */
import { Arguments } from "../arguments.js";
import type { RunConfig } from "../config/config.js";
import { type RecipeName, recipeNames } from "../config/recipes.js";
import { deriveConfig } from "./derive.js";
import type { CompareOptions } from "./options.js";
import { checkSweep } from "./sweep.js";
import { checkTune } from "./tune_grid.js";

/**
 * Returns the options, read once; their lists are arrays, which they need not be.
 * @throws TypeError or RangeError for an argument that is wrong; ConfigError for an object that is not a RunConfig
 */
export function checkArguments(config: RunConfig, options: CompareOptions): CompareOptions {
  const check = new Arguments("compare");
  check.object("config", config);
  const {
    equalCost = false,
    recipes,
    seeds,
    tune,
    sweep,
    tasks,
    ...callbacks
  } = check.options("options", options, [
    "equalCost",
    "recipes",
    "seeds",
    "tune",
    "sweep",
    "verifyData",
    "log",
    "tasks",
    "onProgress",
    "onRun",
    "signal",
  ]);
  const { verifyData = false, log, onProgress, onRun, signal } = callbacks;
  check.boolean("equalCost", equalCost);
  check.boolean("verifyData", verifyData);
  check.callback("log", log);
  check.callback("onProgress", onProgress);
  check.callback("onRun", onRun);
  check.signal("signal", signal);
  const checked = {
    ...callbacks,
    equalCost,
    ...(recipes !== undefined && { recipes: recipeList(check, recipes) }),
    ...(seeds !== undefined && { seeds: seedList(check, seeds) }),
    ...(tune !== undefined && { tune: checkTune(check, "tune", tune) }),
    ...(sweep !== undefined && { sweep: checkSweep(check, "sweep", sweep) }),
    ...(tasks !== undefined && { tasks: check.paths("tasks", tasks, 1) }),
  };
  deriveConfig(config, {}, "config");
  return checked;
}

function recipeList(check: Arguments, value: unknown): RecipeName[] {
  const names = check.strings("recipes", value, 1).map((name, i) => check.oneOf(`recipes[${i}]`, name, recipeNames));
  return unique(check, "recipes", names);
}

function seedList(check: Arguments, value: unknown): number[] {
  const isSeed = (seed: number) => Number.isSafeInteger(seed) && seed >= 0;
  const seeds = unique(check, "seeds", check.numbers("seeds", value, "a whole number of at least 0", isSeed));
  if (seeds.length === 0) check.fail(RangeError, "seeds", "one or more seeds", "none");
  return seeds;
}

function unique<T extends number | string>(check: Arguments, name: string, values: T[]): T[] {
  const again = values.find((value, index) => values.indexOf(value) < index);
  if (again !== undefined) check.fail(RangeError, name, "each value once", `${again} twice`);
  return values;
}
