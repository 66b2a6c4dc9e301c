/** What the runs of a comparison score at tasks, and how many neurons they activate, as tables and a chart. */
import type { ContinuationScores, TaskScores } from "../evaluate/accuracy.js";
import type { Chart, ChartSeries } from "../report/page.js";
import type { CompareReport } from "./report.js";
import { reportArms } from "./report_arms.js";
import type { RunResult } from "./run_result.js";
import type { Table } from "./table.js";

/** A row for every run, with what `eval --tasks` prints of each task; null: nothing was scored. */
export function taskTable(report: CompareReport): Table | null {
  const runs = reportArms(report);
  const { tasks } = report.comparison.baseline;
  if (tasks === undefined) return null;
  const columns = Object.entries(tasks).flatMap(([task, scores]) =>
    ("perplexity" in scores ? (["acc", "perplexity"] as const) : (["acc", "acc_norm"] as const)).map(
      (measure) => ({ task, measure }) as const,
    ),
  );
  return {
    headings: ["Run", ...columns.map(({ task, measure }) => `${task}: ${measure}`)],
    rows: runs.map(({ label, run }) => [
      label,
      ...columns.map(({ task, measure }) => cell(run.tasks![task]!, measure)),
    ]),
  };
}

function cell(scores: TaskScores, measure: "acc" | "acc_norm" | "perplexity"): string {
  if (measure === "perplexity") {
    const { perplexity } = scores as ContinuationScores;
    return Number.isFinite(perplexity) ? perplexity.toPrecision(4) : "diverged";
  }
  const [value, error] =
    measure === "acc" || "perplexity" in scores
      ? [scores.acc, scores.acc_stderr]
      : [scores.acc_norm, scores.acc_norm_stderr];
  return value.toFixed(4) + (error === null ? "" : ` ± ${error.toFixed(4)}`);
}

export const taskNote =
  "Scores of the final models by the rules of lm-evaluation-harness, each with its standard error. acc is the share of " +
  "items whose likeliest choice is the right one; acc_norm takes likelihoods per character.";

const percent = (share: number) => 100 * share;

/** A row for every layer, a column for every run. */
export function activationTable(report: CompareReport): Table {
  const runs = reportArms(report);
  const layers = report.comparison.baseline.activations.layers;
  return {
    headings: ["Layer", ...runs.map(({ label }) => label)],
    rows: layers.map((_, layer) => [
      String(layer),
      ...runs.map(({ run }) => `${percent(run.activations.layers[layer]!.active).toFixed(3)}%`),
    ]),
  };
}

/** A line for every run over the layers. */
export function activationChart(
  runs: readonly { readonly label: string; readonly run: RunResult; readonly color: ChartSeries["color"] }[],
): Chart {
  return {
    title: "Active neurons of each layer",
    xLabel: "layer",
    yLabel: "% of neurons",
    x: runs[0]!.run.activations.layers.map((_, layer) => layer),
    series: runs.map(({ label, run, color }) => ({
      label,
      color,
      values: run.activations.layers.map(({ active }) => percent(active)),
      dots: true,
    })),
    marks: [],
    wholeX: true,
    height: 240,
  };
}

/** What the chart and the table show. */
export function activationNote({ comparison }: CompareReport): string {
  const { threshold } = comparison.baseline.activations;
  return (
    `The share of an MLP's neurons that are further from 0 than ${threshold} at a position, in the final models, token ` +
    "by token, on held-out data. Layers are counted from 0, the first."
  );
}
