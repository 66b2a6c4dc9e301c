/** What each run's cost buys besides its loss per token: bits per byte, active neurons, and accuracy at cloze items. */
import { formatLoss } from "../report/format.js";
import type { Difference, Differences } from "./differences.js";
import { formatDelta } from "./format.js";
import type { CompareReport } from "./report.js";
import { type ReportArm, reportArms } from "./report_arms.js";
import type { StartResult } from "./start_model.js";
import type { Table } from "./table.js";

/** A row for every arm; with bits per byte and cloze items where they are known. */
export function buysTable(report: CompareReport): Table {
  const { start } = report.comparison;
  const arms = reportArms(report);
  const bits = arms.some(({ run }) => run.bitsPerByte !== undefined);
  const cloze = arms.some(({ run }) => run.cloze !== undefined);
  const row = (label: string, run: StartResult, of?: Differences): string[] => {
    return [
      label,
      formatLoss(run.valLoss),
      ...(bits ? [formatLoss(run.bitsPerByte), signed(of?.bitsPerByte, 1, 4)] : []),
      `${(100 * run.activeNeurons).toFixed(2)}%`,
      signed(of?.activeNeurons, 100, 2),
      ...(cloze ? [clozeText(run.cloze), signed(of?.clozeAccuracy, 100, 1)] : []),
    ];
  };
  const headings = [
    "Run",
    "Nats per token",
    ...(bits ? ["Bits per byte", "Difference"] : []),
    "Active neurons",
    "Difference, points",
    ...(cloze ? ["Cloze accuracy", "Difference, points"] : []),
  ];
  const ofArm = ({ label, run, difference }: ReportArm) => row(label, run, difference?.differences);
  return { headings, rows: [...(start ? [row("the model before", start)] : []), ...arms.map(ofArm)] };
}

/** `+0.0123 ± 0.0045`: the mean with half of its interval, if there are several seeds; a dash if there is none. */
function signed(difference: Difference | undefined, scale: number, digits: number): string {
  if (difference === undefined) return "–";
  const { mean, paired } = difference;
  const text = formatDelta(scale * mean, digits);
  if (paired === null || !Number.isFinite(mean)) return text;
  return `${text} ± ${(scale * (paired.high - paired.mean)).toFixed(digits)}`;
}

function clozeText(cloze: StartResult["cloze"]): string {
  if (cloze === undefined) return "–";
  const { accuracy, standardError } = cloze;
  const error = standardError === null ? "" : ` (${(100 * standardError).toFixed(1)})`;
  return `${(100 * accuracy).toFixed(1)}%${error}`;
}

/** What the columns are. */
export function buysNote({ comparison: { start, baseline, seeds } }: CompareReport): string {
  const { activations, bitsPerByte, cloze } = baseline;
  const sentences = [
    ...(start ? ["The first row is the model that all runs continue, before any of them."] : []),
    ...(bitsPerByte === undefined
      ? []
      : ["Bits per byte is the final loss on all held-out tokens, per byte of their text: lower is better."]),
    `A neuron of an MLP is active at a position if its value is further from 0 than ${activations.threshold}; the share ` +
      "is over all layers, token by token, on held-out data.",
    ...(cloze === undefined
      ? []
      : [
          `Cloze accuracy is the share of ${cloze.items} items for which the model finds, after ${cloze.contextTokens} ` +
            `tokens of held-out text, how that goes on, among ${cloze.choices} continuations of ` +
            `${cloze.continuationTokens} tokens, the others from other places of the text: the one of the highest ` +
            `log-likelihood per token. A guess is right ${(100 * cloze.chance).toFixed(0)}% of the time; in brackets is ` +
            "the standard error over the items, in points. All runs have the same items.",
        ]),
    seeds.length === 1
      ? "Differences are against the token-level run; those of one seed show nothing."
      : "Differences from token-level training are taken seed by seed; after ± is half of their 95% interval.",
  ];
  return sentences.join(" ");
}
