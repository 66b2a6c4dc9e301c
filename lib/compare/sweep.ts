/** What `--sweep` varies: every patch size with every fraction. */
import { Arguments, describe } from "../arguments.js";

/** The values to vary; an axis that is absent keeps the config's own value. */
export interface Sweep {
  readonly patchSize?: readonly number[];
  readonly fraction?: readonly number[];
}

const axes = {
  patchSize: { holds: (value: number) => Number.isSafeInteger(value) && value >= 2, expected: "whole numbers from 2" },
  fraction: { holds: (value: number) => value > 0 && value < 1, expected: "numbers between 0 and 1" },
} as const;

/**
 * Reads the values of `--sweep`, such as `patchSize=2,4,8` and `fraction=0.5,0.8`.
 * @throws TypeError or RangeError for another argument
 */
export function parseSweep(texts: readonly string[]): Sweep {
  const check = new Arguments("parseSweep");
  const sweep: { patchSize?: number[]; fraction?: number[] } = {};
  for (const [index, text] of check.strings("texts", texts, 1).entries()) {
    const refuse = (expected: string, received = text): never =>
      check.fail(RangeError, `texts[${index}]`, expected, describe(received));
    const [, name = "", list = ""] = /^([^=]*)=(.*)$/s.exec(text) ?? [];
    if (name !== "patchSize" && name !== "fraction") return refuse("patchSize=K,... or fraction=F,...");
    if (sweep[name] !== undefined) return refuse(`each axis once, all values of ${name} in one text,`);
    const { holds, expected } = axes[name];
    sweep[name] = list.split(",").map((item) => {
      const value = item.trim() === "" ? Number.NaN : Number(item);
      return holds(value) ? value : refuse(`${expected}, separated by commas, after ${name}=`, item);
    });
  }
  return sweep;
}

/** Checks a sweep argument. */
export function checkSweep(check: Arguments, name: string, value: Sweep): void {
  const sweep = check.object(name, value);
  for (const axis of ["patchSize", "fraction"] as const) {
    const { holds, expected } = axes[axis];
    if (sweep[axis] !== undefined) check.numbers(`${name}.${axis}`, sweep[axis], `one of the ${expected}`, holds);
  }
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
