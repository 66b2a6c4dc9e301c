/** The search for the best learning rate and schedule, wherever the losses come from. */
import type { ScheduleType } from "../config/schedule.js";

/** A rate and a schedule, and the loss of the run with them. */
export interface TunePoint {
  readonly lr: number;
  readonly schedule: ScheduleType;
  /** Token-level loss on all held-out tokens at the end of the run, in nats per token; NaN if it diverged. */
  readonly valLoss: number;
}

/** The most rates that are tried beyond a grid, for each schedule. */
export const mostBeyond = 4;

export interface Search {
  readonly rates: readonly number[];
  readonly schedules: readonly ScheduleType[];
  /** Trains with these, and gives the loss. */
  readonly measure: (lr: number, schedule: ScheduleType) => Promise<number>;
  /** Told of a rate beyond the grid, before it is measured. */
  readonly onBeyond: (best: TunePoint, next: number) => void;
}

/**
 * Tries every rate with every schedule; and while the best of a schedule is its least or greatest rate, the next one
 * beyond, as far from it as its neighbour is.
 * @returns by schedule, then in ascending order of the rate
 */
export async function searchGrid({ rates, schedules, measure, onBeyond }: Search): Promise<TunePoint[]> {
  const grid: TunePoint[] = [];
  for (const schedule of schedules) {
    const series: TunePoint[] = [];
    const add = async (lr: number) => series.push({ lr, schedule, valLoss: await measure(lr, schedule) });
    for (const lr of [...new Set(rates)].sort((a, b) => a - b)) await add(lr);
    for (let beyond = 0; beyond < mostBeyond; beyond++) {
      const next = rateBeyond(series);
      if (next === null) break;
      onBeyond(bestOf(series), next);
      await add(next);
      series.sort((a, b) => a.lr - b.lr);
    }
    grid.push(...series);
  }
  return grid;
}

/** The point with the lowest loss; the first of several. A run that diverged is worse than any other. */
export function bestOf(points: readonly TunePoint[]): TunePoint {
  const rank = ({ valLoss }: TunePoint) => (Number.isNaN(valLoss) ? Number.POSITIVE_INFINITY : valLoss);
  return points.reduce((best, next) => (rank(next) < rank(best) ? next : best));
}

/** The rate beyond the edge that the best of a series is at; null if it is inside, or there is no factor to go on by. */
function rateBeyond(series: readonly TunePoint[]): number | null {
  const at = series.indexOf(bestOf(series));
  const inner = at === 0 ? series[1] : at === series.length - 1 ? series[at - 1] : undefined;
  if (inner === undefined) return null;
  const { lr } = series[at]!;
  // Without the last digits, which are the division's.
  return Number(((lr * lr) / inner.lr).toPrecision(6));
}

/** Whether the best of a grid is at the edge of its schedule's rates, so that a better one may lie beyond. */
export function isAtEdge(grid: readonly TunePoint[], best: TunePoint): boolean {
  return rateBeyond(grid.filter(({ schedule }) => schedule === best.schedule)) !== null;
}
