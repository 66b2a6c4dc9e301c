/** The first paragraph of a comparison: whether training in patches pays, by its numbers alone. */
import { formatLoss } from "../report/format.js";
import { formatDelta } from "./format.js";
import { showsNone } from "./paired.js";
import type { LossDifference } from "./readings.js";
import type { CompareReport } from "./report.js";
import { reportMethods } from "./report_arms.js";

/** A method's loss against the baseline's, at equal cost if that was measured. */
interface Verdict extends LossDifference {
  readonly name: string;
}

/** Which arm is ahead at equal cost, by how much, with what interval over how many seeds, at how many tokens a parameter. */
export function answer(report: CompareReport): string {
  const { start, baseline, seeds, parameters, ratio } = report.comparison;
  const methods = reportMethods(report);
  const verdicts = methods
    .map(({ method, result }) => {
      const { valLossDelta, paired } = result.equalCost ?? result;
      return { name: method.label, valLossDelta, paired };
    })
    .sort((one, other) => rank(one) - rank(other));
  const atEqualCost = methods.every(({ result }) => result.equalCost !== null);
  const where = atEqualCost ? "At equal cost" : `At equal data, for ${ratio.flops.toFixed(3)}× of the FLOPs`;
  const size = `${(baseline.tokens / parameters).toPrecision(3)} tokens per parameter`;
  const sentences = verdicts.map((verdict, index) => sentence(verdict, index === 0));
  return [
    `Does training in patches pay here? ${lead(verdicts[0]!, atEqualCost)} ${where} and ${size}, ${sentences[0]}.`,
    ...sentences.slice(1).map((text) => `${text[0]!.toUpperCase()}${text.slice(1)}.`),
    ...(seeds.length === 1
      ? [`Another seed may reverse this: --seeds ${nextSeeds(seeds[0]!)} gives an interval.`]
      : []),
    ...(seeds.length > 1 && verdicts.length > 1 ? [severalIntervals] : []),
    ...(start ? [continuedFrom(start.valLoss, report)] : []),
  ].join(" ");
}

/** What all runs begin with, and where token-level training takes it. */
function continuedFrom(before: number, { comparison: { baseline }, config: { init } }: CompareReport): string {
  const from = "from" in init ? init.from : "";
  return (
    `All runs continue ${from}, whose loss on this text was ${formatLoss(before)} nats per token before and is ` +
    `${formatLoss(baseline.valLoss)} after token-level training.`
  );
}

const severalIntervals = "Each interval is for one recipe alone: the best of several looks better than it is.";

/** Lower is better; what diverged comes last. */
function rank({ valLossDelta }: Verdict): number {
  return Number.isFinite(valLossDelta) ? valLossDelta : Number.POSITIVE_INFINITY;
}

function lead({ valLossDelta, paired }: Verdict, atEqualCost: boolean): string {
  if (!Number.isFinite(valLossDelta)) return "No answer, as a run diverged.";
  if (paired === null) return "One seed shows nothing.";
  if (!atEqualCost) return "Undecided, as equal cost was not measured (--equal-cost).";
  if (showsNone(paired)) return "Undecided by these seeds; more make the interval narrower.";
  return paired.mean < 0 ? "Yes." : "No.";
}

/** @param first whether it is the first of a paragraph: the others leave out what it has said */
function sentence({ name, valLossDelta, paired }: Verdict, first: boolean): string {
  const [baseline, unit] = first ? [" token-level training", " nats per token"] : ["", ""];
  if (!Number.isFinite(valLossDelta)) return `a run of ${name} or of its baseline diverged`;
  const size = `${Math.abs(valLossDelta).toFixed(4)}${unit}`;
  if (paired === null) {
    return `${name} ended ${size} ${valLossDelta < 0 ? "below" : "above"}${baseline || " it"}`;
  }
  const { n, low, high } = paired;
  if (showsNone(paired)) {
    const interval = `95% interval ${formatDelta(low)} to ${formatDelta(high)}, ${n} seeds`;
    return `no difference seen ${first ? `between ${name} and${baseline}` : `for ${name}`}: ${formatDelta(valLossDelta)}${unit} (${interval})`;
  }
  const [relation, ends] = high < 0 ? [`ahead${first ? " of" : ""}`, [-high, -low]] : [`behind`, [low, high]];
  const interval = `95% interval ${ends.map((end) => end.toFixed(4)).join(" to ")}, ${n} seeds`;
  return `${name} is ${relation}${baseline} by ${size} (${interval})`;
}

/** The seed that there is, and two more. */
function nextSeeds(seed: number): string {
  return [seed, seed + 1, seed + 2].join(",");
}
