/** The training time of both runs by part, and which parts keep its ratio above that of the FLOPs. */
import { formatDuration } from "../report/format.js";
import type { TimeByPart } from "../report/metrics.js";
import { formatShare } from "./format.js";
import type { CompareReport } from "./report.js";
import type { RunResult } from "./run_result.js";
import type { Table } from "./table.js";

/** A part of the training step in the token-level and in the staged run. */
export interface PartCost {
  readonly part: Part;
  /** Seconds in the token-level run. */
  readonly baseline: number;
  /** Seconds in the staged run. */
  readonly staged: number;
  /** `staged / baseline`; null if the part took no time in the token-level run. */
  readonly ratio: number | null;
  /** The same for the part's FLOPs; null for a part with none counted. */
  readonly flopRatio: number | null;
  /**
   * What the part adds to `ratio.seconds - ratio.flops` of the comparison: its seconds, less the FLOP ratio times its
   * seconds in the token-level run, as a share of all seconds of that run. The sum over all parts is the difference.
   */
  readonly gap: number;
}

type Part = keyof TimeByPart;

/** The displayed names, in the order of a step. */
const names: Readonly<Record<Part, string>> = {
  data: "data",
  embedding: "embedding",
  transformer: "transformer",
  head: "head and loss",
  optimizer: "optimizer",
  communication: "other ranks",
  idle: "idle",
};

/** Of the two runs whose parts are compared, what must have been measured on one machine. */
interface Timed {
  readonly time: TimeByPart;
  readonly seconds: number;
}

/** The runs with their times; null if one of them was not measured where the other was. */
function timedRuns({ comparison: { baseline, patch } }: Pick<CompareReport, "comparison">): [Timed, Timed] | null {
  const isTimed = (run: RunResult): run is RunResult & Timed => run.time !== null && run.seconds !== null;
  return isTimed(baseline) && isTimed(patch) ? [baseline, patch] : null;
}

/** The cost of every part; null if the runs were not measured on one machine. */
export function partCosts(report: Pick<CompareReport, "comparison" | "plan">): PartCost[] | null {
  const runs = timedRuns(report);
  if (runs === null) return null;
  const [baseline, patch] = runs;
  const { comparison, plan } = report;
  const flopsBefore: Partial<Record<Part, number>> = plan.baseline.partFlops;
  const flopsNow: Partial<Record<Part, number>> = plan.patch.partFlops;
  const timed = (part: Part) => (baseline.time[part] ?? patch.time[part]) !== undefined;
  return (Object.keys(names) as Part[]).filter(timed).map((part) => {
    const { [part]: before = 0 } = baseline.time;
    const { [part]: now = 0 } = patch.time;
    const flops = flopsBefore[part];
    return {
      part,
      baseline: before,
      staged: now,
      ratio: before > 0 ? now / before : null,
      flopRatio: flops === undefined ? null : flopsNow[part]! / flops,
      gap: (now - comparison.ratio.flops * before) / baseline.seconds,
    };
  });
}

/** A row for every part, one for the total, and what they show; null if the runs were not measured on one machine. */
export function timeTable(report: CompareReport): (Table & { finding: string }) | null {
  const runs = timedRuns(report);
  const costs = partCosts(report);
  if (runs === null || costs === null) return null;
  const { ratio } = report.comparison;
  const [before, now] = runs.map(({ seconds }) => seconds) as [number, number];
  const ofSeconds = now / before;
  const share = (value: number | null) => (value === null ? "–" : value.toFixed(4));
  const rows = costs.map((cost) => [
    names[cost.part],
    formatDuration(cost.baseline),
    formatDuration(cost.staged),
    share(cost.ratio),
    share(cost.flopRatio),
    formatGap(cost.gap),
  ]);
  const whole = [formatDuration(before), formatDuration(now), share(ofSeconds)];
  return {
    headings: ["Part", report.plan.baseline.label, report.plan.patch.label, "Time ×", "FLOP ×", "Gap"],
    rows: [...rows, ["whole step", ...whole, share(ratio.flops), formatGap(ofSeconds - ratio.flops)]],
    finding: timeFinding(costs, ofSeconds, ratio.flops),
  };
}

/** The parts that keep the ratio in seconds above the ratio in FLOPs, the largest first, and those that lower it. */
function timeFinding(all: readonly PartCost[], ofSeconds: number, ofFlops: number): string {
  const costs = all.filter(({ gap }) => formatGap(gap) !== formatGap(0));
  const list = (parts: readonly PartCost[]) =>
    [...parts]
      .sort((a, b) => Math.abs(b.gap) - Math.abs(a.gap))
      .map(({ part, gap }) => `${names[part]} (${formatGap(gap)})`)
      .join(", ");
  const flops = formatShare(ofFlops);
  const more = list(costs.filter(({ gap }) => gap > 0));
  const less = list(costs.filter(({ gap }) => gap < 0));
  return [
    `Training takes ${formatShare(ofSeconds)} of the time for ${flops} of the FLOPs, ` +
      `a gap of ${formatGap(ofSeconds - ofFlops)}.`,
    more
      ? `Parts that take more than ${flops} of their token-level time: ${more}.`
      : `No part takes more than ${flops} of its token-level time.`,
    ...(less ? [`Parts that take less: ${less}.`] : []),
  ].join(" ");
}

/** How to read the table; the same for every comparison. */
export const timeNote =
  "Time is that of forward and backward together; idle is the rest, in which the device computed nothing. Loading " +
  "and embedding go by tokens and the optimizer by steps, which patches make no fewer. A part's gap is what it adds " +
  "to the difference of the two ratios: its time beyond the FLOPs' share of its token-level time, in shares of all " +
  "token-level time.";

/** `+0.031`, and `0.000` without a sign for what rounds to 0. */
function formatGap(gap: number): string {
  const digits = Math.abs(gap).toFixed(3);
  return Number(digits) === 0 ? digits : `${gap < 0 ? "−" : "+"}${digits}`;
}
