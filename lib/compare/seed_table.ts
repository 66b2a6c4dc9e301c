/** The final losses seed by seed. */
import { formatLoss } from "../report/format.js";
import { formatDelta } from "./format.js";
import { showsNone } from "./paired.js";
import type { LossDifference } from "./readings.js";
import type { CompareReport } from "./report.js";
import { reportArms } from "./report_arms.js";
import type { Table } from "./table.js";

/** A row for every arm, a column for every seed, the spread over them, and what they show; null for a single seed. */
export function seedTable(report: CompareReport): Table | null {
  const { seeds } = report.comparison;
  if (seeds.length === 1) return null;
  return {
    headings: ["Run", ...seeds.map((seed) => `Seed ${seed}`), "Spread", "Difference", "95% interval", "What is seen"],
    rows: reportArms(report).map(({ label, run, difference }) => [
      label,
      ...run.runs.map(({ valLoss }) => formatLoss(valLoss)),
      formatLoss(spread(run.runs.map(({ valLoss }) => valLoss))),
      ...(difference === null ? ["–", "–", "–"] : seen(difference)),
    ]),
  };
}

function seen({ valLossDelta, paired }: LossDifference): string[] {
  const mean = formatDelta(valLossDelta);
  if (paired === null || !Number.isFinite(valLossDelta)) return [mean, "–", "–"];
  const { low, high } = paired;
  const words = showsNone(paired) ? "no difference seen" : high < 0 ? "lower" : "higher";
  return [mean, `${formatDelta(low)} to ${formatDelta(high)}`, words];
}

export const seedNote =
  "Final loss on all held-out tokens, in nats per token. Spread is the standard deviation over the seeds. Differences " +
  "from token-level training are taken seed by seed.";

function spread(values: readonly number[]): number {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  return Math.sqrt(values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (values.length - 1));
}
