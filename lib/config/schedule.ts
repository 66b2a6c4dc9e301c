/** Learning-rate schedules: a linear warm-up, then a decay. */
import { Arguments } from "../arguments.js";

/** The types of schedules. */
export const scheduleTypes = ["cosine", "wsd", "constant"] as const;

/** How the rate goes on after the warm-up. */
export type ScheduleType = (typeof scheduleTypes)[number];

/** A schedule with every default filled in. */
export interface Schedule {
  readonly type: ScheduleType;
  /** Steps of linear warm-up from 0; cut to the length of the schedule if that is shorter. */
  readonly warmupSteps: number;
  /** The last step's rate as a fraction of the base rate (`cosine` and `wsd`). */
  readonly minLrRatio: number;
  /** The last part of all steps, in which the rate decays (`wsd`: warm-up, stable, decay). */
  readonly decayFraction: number;
}

/** What a config's schedule is where it does not say. */
export const scheduleDefaults: Schedule = { type: "cosine", warmupSteps: 100, minLrRatio: 0, decayFraction: 0.1 };

/**
 * The learning rate of one step.
 *
 * - Warm-up: step s of W has `baseLr * (s + 1) / W`, so the first step trains and step W - 1 has the full rate.
 * - `constant`: the full rate from then on.
 * - `cosine`: half a cosine from the full rate at step W down to `baseLr * minLrRatio` at the last step.
 * - `wsd`: the full rate, then a straight line over the last `decayFraction` of all steps (rounded, never into the
 *   warm-up) down to `baseLr * minLrRatio` at the last step.
 *
 * A warm-up as long as the schedule or longer is cut to it: the rate rises to the last step and does not decay.
 *
 * @param schedule what is left out has the config's default: cosine, 100 steps of warm-up, down to 0; wsd decays over 0.1
 * @param step step within the schedule, 0 <= step < steps
 * @param steps length of the schedule: of the stage, or of the run if one schedule spans it
 * @throws TypeError or RangeError for a wrong argument, such as a step outside of the schedule
 *
 * @example
 * ```ts
 * import { learningRate } from "nextpatch";
 *
 * const schedule = { type: "cosine", warmupSteps: 20 } as const;
 * console.log(learningRate(schedule, 3e-4, 19, 200)); // 0.0003: the last step of the warm-up
 * console.log(learningRate(schedule, 3e-4, 199, 200)); // 0: the last step
 * ```
 */
export function learningRate(schedule: Partial<Schedule>, baseLr: number, step: number, steps: number): number {
  const check = new Arguments("learningRate");
  // A config's has perStage, too.
  const keys = ["type", "warmupSteps", "minLrRatio", "decayFraction", "perStage"] as const;
  const whole = { ...scheduleDefaults, ...check.options("schedule", schedule, keys) };
  checkSchedule(check, whole);
  check.number("baseLr", baseLr, "a finite number", Number.isFinite);
  check.wholeNumber("steps", steps, 1);
  check.wholeNumber("step", step, 0, steps - 1);
  const warmup = Math.min(whole.warmupSteps, steps);
  if (step < warmup) return (baseLr * (step + 1)) / warmup;
  const decayed = 1 - decayProgress(whole, step, steps, warmup);
  return baseLr * (whole.minLrRatio + (1 - whole.minLrRatio) * decayed);
}

/**
 * From which step on a schedule of one length has other rates than of another length; infinite: nowhere. Up to there,
 * a run that was begun with the one can go on with the other.
 */
export function firstOtherRate(schedule: Schedule, steps: number, other: number): number {
  if (steps === other) return Number.POSITIVE_INFINITY;
  const shorter = Math.min(steps, other);
  const { type, warmupSteps: warmup } = schedule;
  if (warmup > shorter) return 0; // cut to the length, it rises faster
  // The first step after the warm-up has the full rate yet.
  if (type === "cosine") return warmup + 1;
  return type === "wsd" ? stableEnd(schedule, shorter, warmup) : Number.POSITIVE_INFINITY;
}

/** The step at which the decay of a wsd schedule begins. */
function stableEnd({ decayFraction }: Schedule, steps: number, warmup: number): number {
  return Math.max(warmup, steps - Math.round(decayFraction * steps));
}

function checkSchedule(check: Arguments, schedule: Schedule): void {
  const { type, warmupSteps, minLrRatio, decayFraction } = schedule;
  check.oneOf("schedule.type", type, scheduleTypes);
  check.wholeNumber("schedule.warmupSteps", warmupSteps, 0);
  for (const [name, share] of Object.entries({ minLrRatio, decayFraction })) {
    check.number(`schedule.${name}`, share, "a number from 0 to 1", (value) => value >= 0 && value <= 1);
  }
}

/** The progress of the decay from the full rate to the lowest, from 0 to 1, at a step after the warm-up. */
function decayProgress(schedule: Schedule, step: number, steps: number, warmup: number): number {
  switch (schedule.type) {
    case "constant":
      return 0;
    case "cosine": {
      // A single step after the warm-up is both the first and the last: it trains at the full rate.
      const progress = (step - warmup) / Math.max(1, steps - 1 - warmup);
      return (1 - Math.cos(Math.PI * progress)) / 2;
    }
    case "wsd": {
      const end = stableEnd(schedule, steps, warmup);
      return step < end ? 0 : (step + 1 - end) / (steps - end);
    }
  }
}
