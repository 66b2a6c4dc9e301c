/** Learning-rate schedules: a linear warm-up, then a decay. */

/** The part of a `wsd` schedule that decays, unless it is given. */
export const defaultDecayFraction = 0.1;

/** A schedule with every default filled in. */
export interface Schedule {
  readonly type: "cosine" | "wsd" | "constant";
  /** Steps of linear warm-up from 0; cut to the length of the schedule where that is shorter. */
  readonly warmupSteps: number;
  /** The last step's rate as a fraction of the base rate (`cosine` and `wsd`). */
  readonly minLrRatio: number;
  /** The part of all steps that decays, at the end (`wsd`: warm-up, stable, decay). */
  readonly decayFraction: number;
}

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
 * @param step step within the schedule, 0 <= step < steps
 * @param steps length of the schedule: of the stage, or of the run where one schedule spans it
 * @throws RangeError if `step` is outside of the schedule
 */
export function learningRate(schedule: Schedule, baseLr: number, step: number, steps: number): number {
  if (!Number.isInteger(step) || !Number.isInteger(steps) || step < 0 || step >= steps) {
    throw new RangeError(
      `learningRate: step: expected a whole number from 0 to below ${steps} steps but received ${step}`,
    );
  }
  const warmup = Math.min(schedule.warmupSteps, steps);
  if (step < warmup) return (baseLr * (step + 1)) / warmup;
  const decayed = 1 - decayProgress(schedule, step, steps, warmup);
  return baseLr * (schedule.minLrRatio + (1 - schedule.minLrRatio) * decayed);
}

/** How much of the way from the full rate to the lowest is behind, from 0 to 1, at a step after the warm-up. */
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
      const stableEnd = Math.max(warmup, steps - Math.round(schedule.decayFraction * steps));
      return step < stableEnd ? 0 : (step + 1 - stableEnd) / (steps - stableEnd);
    }
  }
}
