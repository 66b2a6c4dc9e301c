/** `report.html`: a summary of a run. */
import { escapeHtml, formatBytes, formatCount, formatDuration, formatLoss, formatShortLoss } from "./format.js";
import { type Figure, factTable, figureList, numberTable } from "./html.js";
import type { MetricsLine } from "./metrics.js";
import { type Chart, type ChartSeries, renderPage } from "./page.js";
import { type RanksOfReport, ranksSection } from "./ranks_section.js";
import { configYaml, evaluatedTokens, type RunFacts, runConditions, type Sample } from "./run_facts.js";

/** The input of a report. */
export interface Report extends RunFacts {
  /** Lines so far, in order, at most a few thousand; the run need not be over. */
  readonly metrics: readonly MetricsLine[];
  /** One step in so many is among `metrics`. */
  readonly every: number;
  /** What is wrong with the run's metrics, in sentences. */
  readonly damage: readonly string[];
  /** Of a run of several ranks as it is now. */
  readonly ranks?: RanksOfReport;
}

/** The report as one self-contained HTML document. */
export function renderReport(report: Report): string {
  const { config, metrics: shown, every, ranks, samples } = report;
  const thinned = every === 1 ? "" : ` One step in ${every} is drawn.`;
  return renderPage({
    title: `${config.name}: training report`,
    before: header(report) + damageSection(report),
    charts: [
      { chart: lossChart(report, shown), note: lossNote(report) + thinned },
      { chart: smallChart(report, shown, "Learning rate", ({ lr }) => lr), small: true },
      {
        chart: smallChart(report, shown, "Gradient norm, before clipping", (line) => line.gradNorm),
        small: true,
      },
      {
        chart: smallChart(report, shown, "Tokens per second", (line) => line.tokensPerSecond),
        small: true,
      },
    ],
    after:
      stageTable(report) +
      (ranks === undefined ? "" : ranksSection(ranks, shown)) +
      samples.slice(-1).map(sampleSection).join("") +
      `<section><h2>Trained on</h2>${factTable(runConditions(report))}</section>
<section><h2>Config</h2><pre>${escapeHtml(configYaml(report))}</pre></section>`,
  });
}

function header(report: Report): string {
  const { config, notes, stages, metrics, parameters, device, memory } = report;
  const last = metrics.at(-1);
  const evaluated = metrics.findLast(({ valLoss }) => valLoss !== undefined);
  const planned = stages.reduce((sum, { steps }) => sum + steps, 0);
  const progress = (last?.step ?? 0) < planned ? `${last?.step ?? 0} of ${planned} steps so far` : `${planned} steps`;
  const figure = (name: string, value: string, detail: string): Figure => ({ name, value, detail });
  const figures = [
    figure(
      "Validation loss",
      formatShortLoss(evaluated?.valLoss),
      evaluated === undefined
        ? "not evaluated"
        : `token-level, on ${formatCount(evaluatedTokens(report) ?? 0)} tokens; perplexity ` +
            `${Math.exp(evaluated.valLoss!).toPrecision(3)}${bitsDetail(evaluated)}, step ${evaluated.step}`,
    ),
    figure(
      "Training loss",
      formatShortLoss(last?.loss),
      last === undefined ? "no step yet" : `last step, K = ${last.patchSize}`,
    ),
    ...(last === undefined
      ? []
      : [
          figure("Tokens", formatCount(last.tokens), `in ${formatCount(last.positions)} positions, ${progress}`),
          figure("Training time", formatDuration(last.seconds), "evaluation left out"),
          figure("Tokens per second", formatCount(last.tokens / last.seconds), "mean of the run"),
          figure("Compute", formatCount(last.flops), `FLOP, ${mfuDetail(metrics)}`),
          figure("Memory", formatBytes(memory.peakBytes), "of the device, in use at most"),
          ...(last.optimizerFlops
            ? [figure("Compute of the optimizer", formatCount(last.optimizerFlops), "FLOP of Newton-Schulz, besides")]
            : []),
        ]),
  ];
  return `<header><h1>${escapeHtml(config.name)}</h1>
<p class="subtitle">Llama of ${formatCount(parameters)} parameters, trained on ${escapeHtml(device)}</p>
${[...notes, ...skippedNote(last)].map((note) => `<p class="subtitle">${escapeHtml(note)}</p>`).join("\n")}</header>
${figureList(figures)}`;
}

function skippedNote(last: MetricsLine | undefined): string[] {
  const { skipped = 0 } = last ?? {};
  return skipped === 0 ? [] : [`${skipped} ${skipped === 1 ? "update was" : "updates were"} skipped.`];
}

function damageSection({ damage }: Report): string {
  if (damage.length === 0) return "";
  const items = damage.map((sentence) => `<li>${escapeHtml(sentence)}</li>`);
  return `<section><h2>Damaged metrics</h2><ul>${items.join("")}</ul>
<p class="note">The lines are left as they are. Charts and figures lack what could not be read.</p></section>`;
}

function bitsDetail({ valBitsPerByte: bits }: MetricsLine): string {
  return bits === undefined ? "" : `, ${formatShortLoss(bits)} bits per byte`;
}

/** Weighted by time: FLOPs over what the peak allows in the same seconds; a step stands for those that are left out. */
function mfuDetail(metrics: readonly MetricsLine[]): string {
  let before = 0;
  let seconds = 0;
  let secondsAtPeak = 0;
  for (const line of metrics) {
    const step = line.seconds - before;
    before = line.seconds;
    if (line.mfu === null) continue;
    seconds += step;
    secondsAtPeak += line.mfu * step;
  }
  if (seconds === 0) return "device peak not known";
  return `${((100 * secondsAtPeak) / seconds).toPrecision(3)}% of the device's peak`;
}

const stageName = (index: number, patchSize: number) => `Stage ${index + 1}: K = ${patchSize}`;

function marks({ stages }: Report): Chart["marks"] {
  let x = 0;
  return stages.map(({ index, patchSize, tokens }) => {
    const mark = { x, label: stageName(index, patchSize) };
    x += tokens;
    return mark;
  });
}

/** One line per stage, because losses at two patch sizes are different quantities, and one for validation. */
function lossChart(report: Report, shown: readonly MetricsLine[]): Chart {
  const colors = ["blue", "orange", "purple", "grey"] as const;
  const training = report.stages.map(
    ({ index, patchSize }): ChartSeries => ({
      label: `Training, stage ${index + 1} (K = ${patchSize})`,
      color: colors[index % colors.length]!,
      values: shown.map((line) => (line.stage === index ? rounded(line.loss) : null)),
    }),
  );
  const validation: ChartSeries = {
    label: "Validation (K = 1)",
    color: "green",
    values: shown.map(({ valLoss }) => (valLoss === undefined ? null : rounded(valLoss))),
    dots: true,
  };
  const evaluated = shown.some(({ valLoss }) => valLoss !== undefined);
  return {
    title: "Loss",
    xLabel: "tokens",
    yLabel: "nats per token",
    x: shown.map(({ tokens }) => tokens),
    series: evaluated ? [...training, validation] : training,
    marks: marks(report),
    height: 380,
  };
}

function lossNote(report: Report): string {
  const { stages } = report;
  const patches = stages.some(({ patchSize }) => patchSize > 1);
  const training = patches
    ? "Training loss is the loss of the stage's own objective: with patches of K tokens, each position predicts all " +
      "K tokens of the next patch by one distribution, which is harder than predicting the next token alone. So the " +
      "training losses of stages with different K are not comparable, and the jump where the stage changes is a " +
      "change of the question, not of the model. A model that has seen patches only is yet to learn single tokens: " +
      "its validation loss is expected to fall when the token-level stage begins."
    : "Training loss is that of predicting the next token, before each step's update.";
  const tokens = evaluatedTokens(report);
  const held = tokens === null ? "" : `: the first ${tokens} tokens of it`;
  return `${training} Validation loss is always that of predicting the next token, on text held out from training${held}.`;
}

function smallChart(
  report: Report,
  shown: readonly MetricsLine[],
  title: string,
  value: (line: MetricsLine) => number,
): Chart {
  const values = shown.map((line) => rounded(value(line)));
  return {
    title,
    xLabel: "tokens",
    x: shown.map(({ tokens }) => tokens),
    series: [{ label: title, color: "grey", values }],
    marks: marks(report).map(({ x }) => ({ x, label: "" })),
    height: 200,
  };
}

/** Six digits: more than a chart shows, and the page stays small. */
function rounded(value: number): number | null {
  return Number.isFinite(value) ? Number(value.toPrecision(6)) : null;
}

function stageTable(report: Report): string {
  const { stages, metrics } = report;
  const bitsKnown = metrics.some(({ valBitsPerByte }) => valBitsPerByte !== undefined);
  const headings = [
    "Stage",
    "Patch size",
    "Steps",
    "Tokens",
    "Base rate",
    "Training loss",
    "Validation loss",
    ...(bitsKnown ? ["Bits per byte"] : []),
    "Time",
    "Tokens/s",
  ];
  let before = { tokens: 0, seconds: 0 };
  const rows = stages.map((stage) => {
    const lines = metrics.filter((line) => line.stage === stage.index);
    const last = lines.at(-1);
    const { lr, muon } = stage.optimizer;
    const rate = muon === undefined ? lr : `${lr}, Muon ${muon.lr}`;
    if (last === undefined) return [stage.index + 1, stage.patchSize, `0 of ${stage.steps}`, 0, rate];
    const tokens = last.tokens - before.tokens;
    const seconds = last.seconds - before.seconds;
    const steps = last.step - stage.firstStep;
    before = last;
    const evaluated = lines.findLast(({ valLoss }) => valLoss !== undefined);
    return [
      stage.index + 1,
      stage.patchSize,
      steps < stage.steps ? `${steps} of ${stage.steps}` : stage.steps,
      formatCount(tokens),
      rate,
      formatLoss(last.loss),
      formatLoss(evaluated?.valLoss),
      ...(bitsKnown ? [formatLoss(evaluated?.valBitsPerByte)] : []),
      formatDuration(seconds),
      formatCount(tokens / seconds),
    ];
  });
  const tokens = evaluatedTokens(report);
  return `<section><h2>Stages</h2>${numberTable(headings, rows)}
<p class="note">Losses are the last of each stage${tokens === null ? "" : `; those of validation are on ${tokens} tokens`}.</p></section>`;
}

function sampleSection({ step, prompt, text }: Sample): string {
  return `<section><h2>A text by the model</h2><pre><b>${escapeHtml(prompt)}</b>${escapeHtml(text)}</pre>
<p class="note">After step ${step}. The prompt is in bold.</p></section>`;
}
