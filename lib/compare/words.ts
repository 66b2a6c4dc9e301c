/** A comparison as sentences and rows, shared by the page, the Markdown and the terminal. */
import { stringify } from "yaml";
import { type RecipeName, recipeText } from "../config/recipes.js";
import { environmentFacts } from "../report/environment.js";
import { formatCount, formatLoss } from "../report/format.js";
import { dataText } from "../report/run_facts.js";
import { withRecipe } from "./derive.js";
import { formatDifference, formatSeconds } from "./format.js";
import type { CompareReport } from "./report.js";
import { type ReportArm, reportArms } from "./report_arms.js";
import type { RunResult } from "./run_result.js";
import type { Table } from "./table.js";

/** A row for every arm; with energy if it is known, and Muon's FLOPs if there are any. */
export function runTable(report: CompareReport): Table {
  const { baseline } = report.comparison;
  const arms = reportArms(report);
  const energy = arms.some(({ run }) => run.energy !== null);
  const optimizer = arms.some(({ run }) => run.optimizerFlops > 0);
  const row = ({ label, run, difference }: ReportArm): string[] => [
    label,
    formatCount(run.tokens),
    (run.tokens / report.plan.availableTokens).toFixed(2),
    formatCount(run.flops),
    formatSeconds(run.seconds),
    formatLoss(run.valLoss),
    Math.exp(run.valLoss).toPrecision(4),
    difference === null ? "–" : formatDifference(difference),
    ...costShares(run, baseline),
    ...(energy ? [run.energy === null ? "–" : formatCount(run.energy)] : []),
    ...(optimizer ? [formatCount(run.optimizerFlops)] : []),
  ];
  const headings = [
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
    ...(energy ? ["Joules"] : []),
    ...(optimizer ? ["FLOP of the optimizer, besides"] : []),
  ];
  return { headings, rows: arms.map(row) };
}

/** A run's FLOPs and seconds as shares of the baseline's. */
function costShares(run: RunResult, baseline: RunResult): string[] {
  const time = run.seconds === null || baseline.seconds === null ? "–" : (run.seconds / baseline.seconds).toFixed(4);
  return [(run.flops / baseline.flops).toFixed(4), time];
}

/** What the table shows. */
export function runNote({ comparison: { seeds } }: CompareReport): string {
  const means = "Losses and times are means over the seeds; after ± is half of the 95% interval of the difference.";
  const note = "Passes are over the training data; differences and × are against the token-level run.";
  return seeds.length > 1 ? `${note} ${means}` : note;
}

/** The conditions of the measurements. */
export function conditions({ comparison, config, plan }: CompareReport): [string, string][] {
  const { environments, seeds } = comparison;
  const length = config.batch.sequenceLength;
  const masked: [string, string][] = plan.masked.map((data) => [
    `Loss mask in ${data}`,
    "losses are means over the labels that count",
  ]);
  const evaluated = Math.min(config.eval!.sequences, Math.floor(plan.heldOutTokens / length));
  return [
    ...environmentFacts(environments),
    ["Training data", `${dataText(config.data.train)}: ${plan.availableTokens} tokens`],
    [
      "Held-out data",
      `${dataText(config.data.val!)}: ${plan.heldOutTokens} tokens; curves on ${evaluated} sequences of ${length}`,
    ],
    ...masked,
    ["First weights", "from" in config.init ? `those of ${config.init.from}` : "random"],
    ["Seeds", seeds.join(", ")],
  ];
}

/** What the measurements mean, in sentences that are true of every comparison. */
const alwaysTrue = [
  "All runs of a seed have the same model, the same first weights and the same held-out data. Validation loss is always " +
    "that of predicting the next token: at the end of a run on all held-out tokens, in its curve on the first of them.",
  "FLOPs are counted from the operations of the model's forward and backward; a multiply-add is two. Time is that of " +
    "training steps: evaluation and checkpoints are left out in every run. Other work on the machine makes it longer.",
  "Cost at equal loss is the first point at which the curve of the staged run, or else of the run at equal cost, has " +
    "the loss at the end of the baseline's curve, on the straight line between two evaluations.",
  "A model that has seen patches only is yet to learn single tokens: its validation loss is high until the " +
    "token-level stage begins.",
] as const;

const overSeeds = (decides: string) =>
  `Runs are compared seed by seed: a seed decides ${decides}. The interval of the mean difference is Student's t at 95 ` +
  "per cent; where it has 0 in it, the seeds show no difference.";

const continued =
  "All runs continue the same model, whatever their seed. Its optimizer is not continued: every run begins with a fresh " +
  "one, and with the warm-up and the rate of its schedule.";

const overMachines =
  "The runs were trained on several machines or settings. Losses are compared across them, seconds only among the runs " +
  "that were trained where most token-level runs were.";

/** What the measurements mean, in sentences. */
export function notes({ comparison: { start, seeds, environments } }: CompareReport): string[] {
  const decides = start ? "the order of the data" : "the order of the data and the first weights";
  return [
    ...alwaysTrue,
    ...(start ? [continued] : []),
    ...(seeds.length > 1 ? [overSeeds(decides)] : []),
    ...(environments.length > 1 ? [overMachines] : []),
  ];
}

/** The config, and what the recipes that are compared come to, as YAML. */
export function configText({ config, comparison }: CompareReport): string {
  const names = Object.keys(comparison.recipes ?? {}) as RecipeName[];
  const recipes = names.map((name) => `\n# ${recipeText(name, withRecipe(config, name)).replaceAll("\n", "\n# ")}\n`);
  return `${stringify(config)}${recipes.join("")}`;
}
