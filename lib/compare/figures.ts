/** The readings of a method, each with the numbers that it is based on. */
import { formatCount, formatLoss } from "../report/format.js";
import type { Figure } from "../report/html.js";
import { formatDelta, formatSeconds, formatShare, intervalText } from "./format.js";
import type { LossDifference, MethodResult } from "./readings.js";
import type { CompareReport } from "./report.js";
import { type ReportMethod, reportMethods } from "./report_arms.js";
import type { RunResult } from "./run_result.js";

/** The readings of the first method, or of another one. */
export function readings(report: CompareReport, of: ReportMethod = reportMethods(report)[0]!): Figure[] {
  const { baseline } = report.comparison;
  const { method, result } = of;
  const { ratio, equalCost } = result;
  const figures: Figure[] = [
    {
      name: "Cost in FLOPs",
      value: formatShare(ratio.flops),
      detail: `${formatCount(result.flops)} of ${formatCount(baseline.flops)} FLOP`,
    },
    {
      name: "Cost in training time",
      value: formatShare(ratio.seconds),
      detail:
        ratio.seconds === null
          ? "the runs were trained on different machines, whose seconds are not compared"
          : `${formatSeconds(result.seconds)} of ${formatSeconds(baseline.seconds)}`,
    },
  ];
  if (ratio.energy !== null) {
    figures.push({
      name: "Cost in energy",
      value: formatShare(ratio.energy),
      detail: `${formatCount(result.energy!)} of ${formatCount(baseline.energy!)} joules`,
    });
  }
  // A recipe at equal cost reads more text than the baseline does: it has no reading at equal data.
  if (method.run !== method.equalCost) {
    const tokens = `after ${formatCount(result.tokens)} and ${formatCount(baseline.tokens)} tokens`;
    figures.push(lossFigure("Loss at equal data", result, baseline, tokens));
  }
  if (equalCost !== null) {
    const flops = `for ${formatCount(equalCost.flops)} and ${formatCount(baseline.flops)} FLOP`;
    figures.push(lossFigure("Loss at equal cost", equalCost, baseline, flops));
  }
  figures.push(equalLossFigure(result, baseline));
  return figures;
}

function lossFigure(name: string, run: RunResult & LossDifference, baseline: RunResult, cost: string): Figure {
  const losses = `${formatLoss(run.valLoss)} against ${formatLoss(baseline.valLoss)} nats per token`;
  return { name, value: formatDelta(run.valLossDelta), detail: `${intervalText(run)}; ${losses}, ${cost}` };
}

function equalLossFigure(result: MethodResult, baseline: RunResult): Figure {
  const name = "Cost at equal loss";
  const target = formatLoss(baseline.curve.at(-1)!.valLoss);
  if (result.equalLoss === null) {
    const points = [...result.curve, ...(result.equalCost?.curve ?? [])];
    const lowest = Math.min(...points.map(({ valLoss }) => valLoss).filter((loss) => Number.isFinite(loss)));
    const detail = `the lowest loss was ${formatLoss(lowest)}, the baseline's is ${target}`;
    return { name, value: "not reached", detail };
  }
  const { flops, seconds } = result.equalLoss;
  const time = seconds === null ? "" : `, ${formatSeconds(seconds * baseline.seconds!)}`;
  const spent = `${formatCount(flops * baseline.flops)} FLOP${time}`;
  const share = seconds === null ? "" : ` (${formatShare(seconds)} of the time)`;
  return { name, value: formatShare(flops), detail: `the baseline's ${target} was reached after ${spent}${share}` };
}
