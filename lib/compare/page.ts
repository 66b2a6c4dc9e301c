/** `comparison.html`: the curves of all runs in the same charts, the readings, and the environment. */
import { stringify } from "yaml";
import { escapeHtml } from "../report/format.js";
import { factTable, figureList, numberTable } from "../report/html.js";
import { type Chart, type ChartSeries, renderPage } from "../report/page.js";
import { activationChart, activationNote, taskNote, taskTable } from "./evaluation_tables.js";
import type { Arm } from "./plan.js";
import type { RunResult } from "./readings.js";
import type { CompareReport } from "./report.js";
import { stageEnds, stageTable } from "./stage_table.js";
import { timeFinding, timeNote, timeTable } from "./time_by_part.js";
import { conditions, notes, readings, runTable } from "./words.js";

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

/** The page as one self-contained HTML document. */
export function renderComparison(report: CompareReport): string {
  const { config, plan } = report;
  const runs = runTable(report);
  const stages = stageTable(report);
  const time = timeTable(report);
  const title = `${config.name}: patch-level against token-level training`;
  const tasks = taskTable(report);
  const scored =
    tasks &&
    `
<section><h2>Tasks</h2>${numberTable(tasks.headings, tasks.rows)}${paragraph(taskNote)}</section>`;
  const active = activationChart(overlaid(report).map(({ arm, ...drawn }) => ({ label: arm.label, ...drawn })));
  const sweep = report.comparison.sweep === undefined ? [] : [{ chart: sweepChart(report), note: sweepNote }];
  return renderPage({
    title,
    before: `<header><h1>${escapeHtml(title)}</h1>
<p class="subtitle">${escapeHtml(plan.patch.label)}, then one token at a time</p></header>
${figureList(readings(report))}
<section><h2>Runs</h2>${numberTable(runs.headings, runs.rows)}
<p class="note">Passes are over the training data; differences and × are against the token-level run.</p>
${numberTable(stages.headings, stages.rows)}</section>${scored ?? ""}
<section><h2>Where the time goes</h2>${numberTable(time.headings, time.rows)}
${paragraph(timeFinding(report))}${paragraph(timeNote)}</section>`,
    charts: [
      ...costs.map((cost) => ({ chart: lossChart(report, cost), note: chartNote })),
      { chart: active, note: escapeHtml(activationNote(report)) },
      ...sweep,
    ],
    after: `<section><h2>How to read this</h2>${notes.map(paragraph).join("")}</section>
<section><h2>Measured on</h2>${factTable(conditions(report))}</section>
<section><h2>Config</h2><pre>${escapeHtml(stringify(config))}</pre></section>`,
  });
}

/** The arms drawn as curves: the sweep's would be too many lines, and have a separate chart. */
function overlaid({ comparison, plan }: CompareReport): { arm: Arm; run: RunResult; color: ChartSeries["color"] }[] {
  return [
    { arm: plan.baseline, run: comparison.baseline, color: "blue" },
    { arm: plan.patch, run: comparison.patch, color: "orange" },
    ...(comparison.equalCost ? [{ arm: plan.equalCost!, run: comparison.equalCost, color: "green" as const }] : []),
  ];
}

function lossChart(report: CompareReport, { key, near = false, ...words }: Cost): Chart {
  const arms = overlaid(report);
  const target = report.comparison.baseline.valLoss;
  const x = ascending(arms.flatMap(({ run }) => run.curve.map((point) => point[key])));
  const series = arms.map(
    ({ arm, run, color }): ChartSeries => ({
      label: arm.label,
      color,
      values: valuesAt(
        x,
        run.curve.map((point) => [point[key], point.valLoss]),
      ),
      dots: run.curve.length <= 60,
    }),
  );
  const line: ChartSeries = { label: "token-level, final", color: "grey", values: x.map(() => finite(target)) };
  const marks = arms
    .flatMap(({ arm, run, color }) =>
      stageEnds(arm, run).map(({ next, point }) => ({ x: point[key], label: `K = ${next}`, color })),
    )
    .sort((a, b) => a.x - b.x);
  const top = near ? topOf(arms.map(({ run }) => run.valLoss)) : undefined;
  return { ...words, yLabel: "nats per token", x, series: [...series, line], marks, height: 340, top };
}

/** A little above the final losses; more if they are further apart. */
function topOf(losses: readonly number[]): number | undefined {
  const known = losses.filter(Number.isFinite);
  if (known.length === 0) return undefined;
  const most = Math.max(...known);
  return most + Math.max(0.25, 3 * (most - Math.min(...known)));
}

const chartNote = "Dashed: where a stage of a run ends, in the colour of the run.";
const paragraph = (text: string) => `<p class="note">${escapeHtml(text)}</p>`;

const sweepNote =
  "Each point is a whole run on the same tokens; the cheapest stand to the left, the best at the bottom. " +
  "A line joins the runs of one patch size.";

function sweepChart({ comparison }: CompareReport): Chart {
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
