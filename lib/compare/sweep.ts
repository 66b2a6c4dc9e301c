/** What `--sweep` varies: every patch size with every fraction. */
import { Arguments } from "../arguments.js";
import { numbers, parseAxes } from "./axes.js";

/** The values to vary; an axis that is absent keeps the config's own value. */
export interface Sweep {
  readonly patchSize?: readonly number[];
  readonly fraction?: readonly number[];
}

const axes = {
  patchSize: numbers("whole numbers from 2", (value) => Number.isSafeInteger(value) && value >= 2),
  fraction: numbers("numbers between 0 and 1", (value) => value > 0 && value < 1),
} as const;

/**
 * Reads the values of `--sweep`, such as `patchSize=2,4,8` and `fraction=0.5,0.8`.
 * @throws TypeError or RangeError for another argument
 *
 * @example
 * ```ts
 * import { parseSweep } from "nextpatch";
 *
 * const sweep = parseSweep(["patchSize=2,4,8", "fraction=0.5"]);
 * console.log(sweep); // { patchSize: [2, 4, 8], fraction: [0.5] }, an option of compare
 * ```
 */
export function parseSweep(texts: readonly string[]): Sweep {
  return parseAxes(new Arguments("parseSweep"), texts, axes, "patchSize=K,... or fraction=F,...") as Sweep;
}

/** Checks a sweep argument. Returns it with arrays. */
export function checkSweep(check: Arguments, name: string, value: Sweep): Sweep {
  const { patchSize, fraction } = check.options(name, value, ["patchSize", "fraction"]);
  const list = (axis: "patchSize" | "fraction", values: unknown) =>
    values === undefined
      ? {}
      : { [axis]: check.numbers(`${name}.${axis}`, values, `one of the ${axes[axis].expected}`, axes[axis].holds) };
  return { ...list("patchSize", patchSize), ...list("fraction", fraction) };
}

/** Every combination of a sweep's values, without repeats, in ascending order. */
export function combinations(
  sweep: Sweep,
  own: { readonly patchSize: number; readonly fraction: number },
): { patchSize: number; fraction: number }[] {
  const values = (axis: readonly number[] | undefined, value: number) =>
    [...new Set(axis ?? [value])].sort((a, b) => a - b);
  return values(sweep.patchSize, own.patchSize).flatMap((patchSize) =>
    values(sweep.fraction, own.fraction).map((fraction) => ({ patchSize, fraction })),
  );
}
