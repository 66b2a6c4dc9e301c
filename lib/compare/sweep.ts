/** What `--sweep` varies: every patch size with every fraction. */
import { ConfigError } from "../errors.js";

/** The values to vary; an axis that is absent keeps the config's own value. */
export interface Sweep {
  readonly patchSize?: readonly number[];
  readonly fraction?: readonly number[];
}

const axes = {
  patchSize: { valid: (value: number) => Number.isSafeInteger(value) && value >= 2, expected: "whole numbers from 2" },
  fraction: { valid: (value: number) => value > 0 && value < 1, expected: "numbers between 0 and 1" },
} as const;

/**
 * Reads the values of `--sweep`, such as `patchSize=2,4,8` and `fraction=0.5,0.8`.
 * @throws ConfigError
 */
export function parseSweep(texts: readonly string[]): Sweep {
  const sweep: { patchSize?: number[]; fraction?: number[] } = {};
  for (const text of texts) {
    const [, name = "", list = ""] = /^([^=]*)=(.*)$/s.exec(text) ?? [];
    if (name !== "patchSize" && name !== "fraction") {
      throw new ConfigError(`--sweep ${text}: expected patchSize=K,... or fraction=F,...`);
    }
    if (sweep[name] !== undefined) throw new ConfigError(`--sweep ${text}: ${name} was given already`);
    const { valid, expected } = axes[name];
    sweep[name] = list.split(",").map((item) => {
      const value = item.trim() === "" ? Number.NaN : Number(item);
      if (valid(value)) return value;
      throw new ConfigError(
        `--sweep ${text}: expected ${expected}, separated by commas but received ${JSON.stringify(item)}`,
      );
    });
  }
  return sweep;
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
