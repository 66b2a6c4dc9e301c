/** A comparison as sentences and rows, shared by the page, the Markdown and the terminal. */

import { type DataSection, entriesOf } from "../config/data_entries.js";
import { formatCount, formatDuration, formatLoss } from "../report/format.js";
import type { Figure } from "../report/html.js";
import type { Comparison, RunResult } from "./readings.js";
import type { CompareReport } from "./report.js";

/** `0.502×`: a share of the baseline. */
export function formatShare(share: number): string {
  return `${share.toFixed(3)}×`;
}

/** `+0.0123`: a difference of losses. */
export function formatDelta(delta: number): string {
  return Number.isFinite(delta) ? `${delta < 0 ? "−" : "+"}${Math.abs(delta).toFixed(4)}` : "diverged";
}

/** The readings, each with the numbers it is based on. */
export function readings({ comparison }: CompareReport): Figure[] {
  const { baseline, patch, ratio, valLossDelta, equalCost } = comparison;
  const target = formatLoss(baseline.valLoss);
  const losses = (run: RunResult) => `${formatLoss(run.valLoss)} against ${target} nats per token`;
  const figures: Figure[] = [
    {
      name: "Cost in FLOPs",
      value: formatShare(ratio.flops),
      detail: `${formatCount(patch.flops)} of ${formatCount(baseline.flops)} FLOP`,
    },
    {
      name: "Cost in training time",
      value: formatShare(ratio.seconds),
      detail: `${formatDuration(patch.seconds)} of ${formatDuration(baseline.seconds)}`,
    },
  ];
  if (ratio.energy !== null) {
    figures.push({
      name: "Cost in energy",
      value: formatShare(ratio.energy),
      detail: `${formatCount(patch.energy!)} of ${formatCount(baseline.energy!)} joules`,
    });
  }
  figures.push({
    name: "Loss at equal data",
    value: formatDelta(valLossDelta),
    detail: `${losses(patch)}, after ${formatCount(patch.tokens)} and ${formatCount(baseline.tokens)} tokens`,
  });
  if (equalCost !== null) {
    figures.push({
      name: "Loss at equal cost",
      value: formatDelta(equalCost.valLossDelta),
      detail: `${losses(equalCost)}, for ${formatCount(equalCost.flops)} and ${formatCount(baseline.flops)} FLOP`,
    });
  }
  figures.push(equalLossFigure(comparison));
  return figures;
}

function equalLossFigure({ baseline, patch, equalCost, equalLoss }: Comparison): Figure {
  const name = "Cost at equal loss";
  const target = formatLoss(baseline.valLoss);
  if (equalLoss === null) {
    const points = [...patch.curve, ...(equalCost?.curve ?? [])];
    const lowest = Math.min(...points.map(({ valLoss }) => valLoss).filter((loss) => Number.isFinite(loss)));
    const detail = `the lowest loss was ${formatLoss(lowest)}, the baseline's is ${target}`;
    return { name, value: "not reached", detail };
  }
  const { flops, seconds } = equalLoss;
  const spent = `${formatCount(flops * baseline.flops)} FLOP, ${formatDuration(seconds * baseline.seconds)}`;
  const detail = `the baseline's ${target} was reached after ${spent} (${formatShare(seconds)} of the time)`;
  return { name, value: formatShare(flops), detail };
}

const tableHeadings = [
  "Run",
  "Tokens",
  "Passes",
  "FLOP",
  "Time",
  "Validation loss",
  "Perplexity",
  "Loss difference",
  "FLOP ×",
  "Time ×",
];

/** A row for every run; with bits per byte and energy if they are known, and Muon's FLOPs if there are any. */
export function runTable(report: CompareReport): { headings: string[]; rows: string[][] } {
  const { baseline } = report.comparison;
  const runs = namedRuns(report);
  const bits = runs.some(({ run }) => run.bitsPerByte !== undefined);
  const energy = runs.some(({ run }) => run.energy !== null);
  const optimizer = runs.some(({ run }) => run.optimizerFlops > 0);
  const rows = runs.map(({ label, run }) => [
    label,
    formatCount(run.tokens),
    (run.tokens / report.plan.availableTokens).toFixed(2),
    formatCount(run.flops),
    formatDuration(run.seconds),
    formatLoss(run.valLoss),
    Math.exp(run.valLoss).toPrecision(4),
    run === baseline ? "–" : formatDelta(run.valLoss - baseline.valLoss),
    (run.flops / baseline.flops).toFixed(4),
    (run.seconds / baseline.seconds).toFixed(4),
    ...(bits ? [formatLoss(run.bitsPerByte)] : []),
    ...(energy ? [run.energy === null ? "–" : formatCount(run.energy)] : []),
    ...(optimizer ? [formatCount(run.optimizerFlops)] : []),
  ]);
  const headings = [
    ...tableHeadings,
    ...(bits ? ["Bits per byte"] : []),
    ...(energy ? ["Joules"] : []),
    ...(optimizer ? ["FLOP of the optimizer, besides"] : []),
  ];
  return { headings, rows };
}

/** The runs of a comparison with their labels, each once, the sweep's last. */
export function namedRuns({ comparison, plan }: CompareReport): { label: string; run: RunResult }[] {
  const { baseline, patch, equalCost, sweep = [] } = comparison;
  return [
    { label: plan.baseline.label, run: baseline },
    { label: plan.patch.label, run: patch },
    ...(equalCost ? [{ label: plan.equalCost!.label, run: equalCost }] : []),
    ...plan.sweep.flatMap((arm, index) => (arm === plan.patch ? [] : [{ label: arm.label, run: sweep[index]! }])),
  ];
}

/** The environment of the measurements; values that differ between runs are listed side by side. */
export function conditions({ environments, config, plan }: CompareReport): [string, string][] {
  const each = (value: (environment: CompareReport["environments"][number]) => string) =>
    [...new Set(environments.map(value))].join("; ");
  const length = config.batch.sequenceLength;
  const evaluated = Math.min(config.eval!.sequences, Math.floor(plan.heldOutTokens / length));
  const text = (section: DataSection) =>
    entriesOf(section)
      .map(({ path, weight }) => (weight === undefined ? path : `${path} (weight ${weight})`))
      .join(", ");
  return [
    ["Device", each(({ device, precision }) => `${device}, ${precision}`)],
    ["Processor", each(({ processor, memory }) => `${processor}, ${(memory / 2 ** 30).toFixed(1)} GiB of memory`)],
    ["Threads", each(({ threads }) => (threads === null ? "all cores" : `OMP_NUM_THREADS=${threads}`))],
    ["System", each(({ system, node }) => `${system}, Node ${node}`)],
    ["nextpatch", each(({ nextpatch }) => nextpatch)],
    [
      "Libraries",
      each(({ libraries }) =>
        Object.entries(libraries)
          .map((entry) => entry.join(" "))
          .join(", "),
      ),
    ],
    ["Commit", each(({ commit }) => commit ?? "no repository")],
    ["Begun", each(({ date }) => date)],
    ["Training data", `${text(config.data.train)}: ${plan.availableTokens} tokens`],
    [
      "Held-out data",
      `${text(config.data.val!)}: ${evaluated} sequences of ${length}, of ${plan.heldOutTokens} tokens`,
    ],
  ];
}

/** What the measurements mean, in sentences that are true of every comparison. */
export const notes = [
  "All runs have the same model, the same first weights, the same seed and the same held-out data. " +
    "Validation loss is always that of predicting the next token.",
  "FLOPs are counted from the operations of the model's forward and backward; a multiply-add is two. Time is that of " +
    "training steps: evaluation and checkpoints are left out in every run. Other work on the machine makes it longer.",
  "Cost at equal loss is the first point at which the staged run, or else the run at equal cost, has the baseline's " +
    "final loss, on the straight line between two evaluations.",
  "A model that has seen patches only is yet to learn single tokens: its validation loss is high until the " +
    "token-level stage begins.",
] as const;
