/** What tuning tried and found, as a table and in words. */
import { formatLoss } from "../report/format.js";
import { formatDelta, intervalText } from "./format.js";
import { baselineKey } from "./methods.js";
import type { CompareReport } from "./report.js";
import { reportMethods } from "./report_arms.js";
import type { Table } from "./table.js";
import { isAtEdge, type TunePoint } from "./tune_search.js";

export interface TuneTable extends Table {
  /** What was found, a paragraph each. */
  readonly findings: readonly string[];
}

/** A row for every rate and schedule that was tried, a column for every arm, its best with a star; null: no tuning. */
export function tuneTable(report: CompareReport): TuneTable | null {
  const { tune } = report.comparison;
  if (tune === undefined) return null;
  const arms = Object.entries(tune).map(([key, result]) => ({ label: labelOf(report, key), ...result }));
  const points = arms.flatMap(({ grid }) => grid);
  const schedules = [...new Set(points.map(({ schedule }) => schedule))];
  const rates = [...new Set(points.map(({ lr }) => lr))].sort((a, b) => a - b);
  const tried = schedules.flatMap((schedule) =>
    rates.filter((lr) => points.some((point) => is(point, lr, schedule))).map((lr) => ({ lr, schedule })),
  );
  return {
    headings: ["Rate, schedule", ...arms.map(({ label }) => label)],
    rows: tried.map(({ lr, schedule }) => [
      `${lr}, ${schedule}`,
      ...arms.map(({ grid, best }) => {
        const point = grid.find((each) => is(each, lr, schedule));
        if (point === undefined) return "–";
        return `${formatLoss(point.valLoss)}${is(best, lr, schedule) ? "*" : ""}`;
      }),
    ]),
    findings: [
      ...arms.filter(({ grid, best }) => isAtEdge(grid, best)).map(atEdge),
      ...atBaselineRate(report, tune[baselineKey]!.best.lr),
    ],
  };
}

const is = (point: TunePoint, lr: number, schedule: string) => point.lr === lr && point.schedule === schedule;

function labelOf({ plan }: CompareReport, key: string): string {
  return plan.methods.find((method) => method.key === key)?.label ?? plan.baseline.label;
}

function atEdge({ label, best }: { readonly label: string; readonly best: TunePoint }): string {
  return `${label} is best at the edge of what was tried, at ${best.lr}: a rate beyond may be better.`;
}

/** All arms at one rate, the baseline's best. */
function atBaselineRate(report: CompareReport, lr: number): string[] {
  return reportMethods(report).flatMap(({ method, result: { atBaselineRate: one } }) => {
    if (one === undefined) return [];
    const own = method.atBaselineRate === (method.equalCost ?? method.run) ? ", which is its own best" : "";
    return [
      `At the baseline's rate of ${lr}${own}, ${method.label}: ${formatDelta(one.valLossDelta)} (${intervalText(one)}).`,
    ];
  });
}

/** How the table came about. */
export function tuneNote({ comparison: { tune }, config }: CompareReport): string {
  const steps = [...new Set(Object.values(tune!).map((each) => each.steps))].join(" or ");
  return (
    `Final losses on all held-out tokens after ${steps} steps, with a warm-up shortened as the run is, seed ${config.seed}. ` +
    "Each arm's full runs have its best rate and schedule, marked by a star. While the best was at an edge of the rates, " +
    "the next one beyond was tried, up to four times."
  );
}
