/** The charts of a comparison's page. */
import type { Chart, ChartSeries } from "../report/page.js";
import type { CompareReport } from "./report.js";
import { drawnArms } from "./report_arms.js";
import type { CurvePoint, RunResult } from "./run_result.js";
import { stageEnds } from "./stage_table.js";

/** The x axis of a loss chart. */
type Cost = {
  readonly key: "tokens" | "flops" | "seconds";
  /** Whether the y axis stops just above the final losses: on a patch stage's scale, all runs look alike. */
  readonly near?: boolean;
} & Pick<Chart, "title" | "xLabel">;

const costs: readonly Cost[] = [
  { key: "flops", xLabel: "FLOP", title: "Loss against FLOPs, towards the end", near: true },
  { key: "flops", xLabel: "FLOP", title: "Loss against FLOPs" },
  { key: "tokens", xLabel: "tokens", title: "Loss against tokens" },
  { key: "seconds", xLabel: "seconds of training", title: "Loss against training time" },
];

/** The loss of every arm over its cost, in FLOPs, tokens and seconds. */
export function lossCharts(report: CompareReport): Chart[] {
  return costs.map((cost) => lossChart(report, cost));
}

export const lossNote = "Dashed: where a stage of a run ends, in the colour of the run.";

function lossChart(report: CompareReport, { key, near = false, ...words }: Cost): Chart {
  // An arm without seconds that can be compared is not drawn over them.
  const arms = drawnArms(report).filter(({ run }) => run.curve.at(-1)![key] !== null);
  const target = report.comparison.baseline.curve.at(-1)!.valLoss;
  const at = (point: CurvePoint) => point[key]!;
  const x = ascending(arms.flatMap(({ run }) => run.curve.map(at)));
  const series = arms.map(
    ({ label, run, color }): ChartSeries => ({
      label,
      color,
      values: valuesAt(
        x,
        run.curve.map((point) => [at(point), point.valLoss]),
      ),
      dots: run.curve.length <= 60,
    }),
  );
  const line: ChartSeries = { label: "token-level, final", color: "grey", values: x.map(() => finite(target)) };
  const marks = arms
    .flatMap(({ arm, run, color }) =>
      stageEnds(arm, run).map(({ next, point }) => ({ x: at(point), label: `K = ${next}`, color })),
    )
    .sort((a, b) => a.x - b.x);
  const top = near ? topOf(arms.map(({ run }) => run.curve.at(-1)!.valLoss)) : undefined;
  return { ...words, yLabel: "nats per token", x, series: [...series, line], marks, height: 340, top };
}

/** A little above the final losses; more if they are further apart. */
function topOf(losses: readonly number[]): number | undefined {
  const known = losses.filter(Number.isFinite);
  if (known.length === 0) return undefined;
  const most = Math.max(...known);
  return most + Math.max(0.25, 3 * (most - Math.min(...known)));
}

export const sweepNote =
  "Each point is an arm of its own; the cheapest stand to the left, the best at the bottom. A line joins those of one " +
  "patch size.";

/** The final losses of a sweep over their cost. */
export function sweepChart({ comparison }: CompareReport): Chart {
  const { baseline, sweep = [] } = comparison;
  const share = (run: RunResult) => run.flops / baseline.flops;
  const x = ascending([1, ...sweep.map(share)]);
  const colors = ["orange", "green", "purple", "grey"] as const;
  const sizes = [...new Set(sweep.map(({ patchSize }) => patchSize))];
  const perSize = sizes.map(
    (size, index): ChartSeries => ({
      label: `K = ${size}`,
      color: colors[index % colors.length]!,
      values: valuesAt(
        x,
        sweep.filter(({ patchSize }) => patchSize === size).map((run) => [share(run), run.valLoss]),
      ),
      dots: true,
    }),
  );
  const alone = valuesAt(x, [[1, baseline.valLoss]]);
  const own: ChartSeries = { label: "token-level", color: "blue", values: alone, dots: true };
  return {
    title: "Sweep: final loss against cost",
    xLabel: "share of the token-level run's FLOPs",
    yLabel: "nats per token",
    x,
    series: [own, ...perSize],
    marks: [],
    height: 320,
  };
}

function ascending(values: readonly number[]): number[] {
  return [...new Set(values)].sort((a, b) => a - b);
}

function valuesAt(x: readonly number[], points: readonly (readonly [number, number])[]): (number | null)[] {
  const at = new Map(points);
  return x.map((value) => finite(at.get(value) ?? Number.NaN));
}

function finite(value: number): number | null {
  return Number.isFinite(value) ? value : null;
}
