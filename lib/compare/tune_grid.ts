/** What `--tune` tries for each arm. */
import { Arguments, describe } from "../arguments.js";
import { type ScheduleType, scheduleTypes } from "../config/schedule.js";
import { numbers, parseAxes } from "./axes.js";

/** The values to try, in every combination; an axis that is absent keeps the config's own value. */
export interface Tune {
  /**
   * Learning rates: of Muon, if that is the optimizer, else of AdamW. If the best is the least or the greatest, the next
   * one beyond it is tried, too.
   */
  readonly lr?: readonly number[];
  /** Types of schedules. */
  readonly schedule?: readonly ScheduleType[];
  /** Length of the tuning runs, as a share of the arm's steps. Default 0.25. */
  readonly share?: number;
}

/** A quarter of the steps: a grid of four costs what one run costs, and the best rate is rarely another one. */
export const defaultTuneShare = 0.25;

const axes = {
  lr: numbers("numbers above 0", (value) => value > 0 && Number.isFinite(value)),
  schedule: {
    expected: scheduleTypes.join(", "),
    read: (item: string) => scheduleTypes.find((type) => type === item),
  },
  share: numbers("a number above 0, at most 1", (value) => value > 0 && value <= 1),
} as const;

/**
 * Reads the values of `--tune`, such as `lr=4e-3,8e-3,1.6e-2`, `schedule=cosine,wsd` and `share=0.1`.
 * @throws TypeError or RangeError for another argument
 *
 * @example
 * ```ts
 * import { parseTune } from "nextpatch";
 *
 * const tune = parseTune(["lr=4e-3,8e-3", "share=0.1"]);
 * console.log(tune); // { lr: [0.004, 0.008], share: 0.1 }, an option of compare
 * ```
 */
export function parseTune(texts: readonly string[]): Tune {
  const check = new Arguments("parseTune");
  const usage = "lr=RATE,..., schedule=TYPE,... or share=S";
  const { share, ...grid } = parseAxes(check, texts, axes, usage) as {
    lr?: number[];
    schedule?: ScheduleType[];
    share?: number[];
  };
  if (share !== undefined && share.length !== 1) {
    check.fail(RangeError, "texts", "one value after share=", describe(share.join(",")));
  }
  if (grid.lr === undefined && grid.schedule === undefined) {
    check.fail(RangeError, "texts", "lr=RATE,... or schedule=TYPE,...", describe(texts.join(" ")));
  }
  return { ...grid, ...(share && { share: share[0]! }) };
}

/** Checks a tune argument. Returns it with arrays. */
export function checkTune(check: Arguments, name: string, value: Tune): Tune {
  const { lr, schedule, share } = check.options(name, value, ["lr", "schedule", "share"]);
  const rates =
    lr === undefined ? [] : check.numbers(`${name}.lr`, lr, `one of the ${axes.lr.expected}`, axes.lr.holds);
  const types = (schedule === undefined ? [] : check.strings(`${name}.schedule`, schedule, 1)).map((type, index) =>
    check.oneOf(`${name}.schedule[${index}]`, type, scheduleTypes),
  );
  if (share !== undefined) check.number(`${name}.share`, share, axes.share.expected, axes.share.holds);
  if (rates.length === 0 && types.length === 0) {
    check.fail(RangeError, name, "one or more values of lr or of schedule", "none");
  }
  return {
    ...(rates.length > 0 && { lr: rates }),
    ...(types.length > 0 && { schedule: types }),
    ...(share !== undefined && { share }),
  };
}
