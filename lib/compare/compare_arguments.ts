/** The checks of `compare`'s arguments. */
import { Arguments } from "../arguments.js";
import type { RunConfig } from "../config/config.js";
import { recipeNames } from "../config/recipes.js";
import { deriveConfig } from "./derive.js";
import type { CompareOptions } from "./options.js";
import { checkSweep } from "./sweep.js";
import { checkTune } from "./tune_grid.js";

/** @throws TypeError or RangeError for an argument that is wrong; ConfigError for an object that is not a RunConfig */
export function checkArguments(config: RunConfig, options: CompareOptions): void {
  const check = new Arguments("compare");
  check.object("config", config);
  const { equalCost = false, recipes, seeds, tune, sweep, tasks, ...callbacks } = check.object("options", options);
  const { verifyData = false, log, onProgress, onRun, signal } = callbacks;
  check.boolean("equalCost", equalCost);
  check.boolean("verifyData", verifyData);
  if (recipes !== undefined) {
    const names = check.strings("recipes", recipes, 1);
    for (const [index, name] of names.entries()) check.oneOf(`recipes[${index}]`, name, recipeNames);
    unique(check, "recipes", names);
  }
  if (seeds !== undefined) {
    const isSeed = (value: number) => Number.isSafeInteger(value) && value >= 0;
    unique(check, "seeds", check.numbers("seeds", seeds, "a whole number of at least 0", isSeed));
    if (seeds.length === 0) check.fail(RangeError, "seeds", "one or more seeds", "none");
  }
  if (tune !== undefined) checkTune(check, "tune", tune);
  if (sweep !== undefined) checkSweep(check, "sweep", sweep);
  if (tasks !== undefined) check.strings("tasks", tasks, 1);
  check.callback("log", log);
  check.callback("onProgress", onProgress);
  check.callback("onRun", onRun);
  check.signal("signal", signal);
  deriveConfig(config, {}, "config");
}

function unique(check: Arguments, name: string, values: readonly (number | string)[]): void {
  const again = values.find((value, index) => values.indexOf(value) < index);
  if (again !== undefined) check.fail(RangeError, name, "each value once", `${again} twice`);
}
