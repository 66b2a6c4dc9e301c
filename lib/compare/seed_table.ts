/** The final losses seed by seed. */
import { formatLoss } from "../report/format.js";
import { formatDifference, intervalText } from "./format.js";
import type { CompareReport } from "./report.js";
import { reportArms } from "./report_arms.js";

interface Table {
  readonly headings: string[];
  readonly rows: string[][];
}

/** A row for every arm, a column for every seed, the spread over them, and what they show; null for a single seed. */
export function seedTable(report: CompareReport): Table | null {
  const { seeds } = report.comparison;
  if (seeds.length === 1) return null;
  return {
    headings: ["Run", ...seeds.map((seed) => `Seed ${seed}`), "Spread", "Against token-level", "What the seeds show"],
    rows: reportArms(report).map(({ label, run, difference }) => [
      label,
      ...run.runs.map(({ valLoss }) => formatLoss(valLoss)),
      formatLoss(spread(run.runs.map(({ valLoss }) => valLoss))),
      ...(difference === null ? ["–", "–"] : [formatDifference(difference), intervalText(difference)]),
    ]),
  };
}

export const seedNote =
  "Final loss on all held-out tokens, in nats per token. Spread is the standard deviation over the seeds. Differences " +
  "are taken seed by seed.";

function spread(values: readonly number[]): number {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  return Math.sqrt(values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (values.length - 1));
}
