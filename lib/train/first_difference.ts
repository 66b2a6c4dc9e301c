/**
 * Runs that go on with another length. What they have done must be what they would have done at that length: the stages
 * that have ended are as long, and the learning rates of all steps are the same.
 */
import { firstOtherRate, type Schedule } from "../config/schedule.js";
import type { ResolvedStage } from "../config/stages.js";

/** From which step on a run of other stages is another run. */
export interface Difference {
  /** Counted from 0: a run that has done as many steps, or fewer, can go on. */
  readonly step: number;
  /** The stage, by its index. */
  readonly stage: number;
  /** The schedule that gives it other rates; null: it has another length. */
  readonly schedule: Schedule["type"] | null;
}

/**
 * Where the steps of two runs begin to differ, of which one goes on as the other; null: nowhere.
 * @param rates whether the schedule's rates count: where it is changed on purpose, they do not
 */
export function firstDifference(
  before: readonly ResolvedStage[],
  after: readonly ResolvedStage[],
  rates: boolean,
): Difference | null {
  for (const [index, old] of before.entries()) {
    const now = after[index];
    const end = Math.min(old.steps, now?.steps ?? 0);
    const same = rates && now !== undefined && isSame(old.schedule, now.schedule);
    const within = old.firstStep - old.scheduleFirstStep;
    const other = same ? firstOtherRate(old.schedule, old.scheduleSteps, now.scheduleSteps) - within : end;
    if (other < end) {
      return { step: old.firstStep + Math.max(0, other), stage: index, schedule: old.schedule.type };
    }
    if (old.steps !== now?.steps) return { step: old.firstStep + end, stage: index, schedule: null };
  }
  return null;
}

function isSame(a: Schedule, b: Schedule): boolean {
  return (Object.keys(a) as (keyof Schedule)[]).every((key) => a[key] === b[key]);
}
