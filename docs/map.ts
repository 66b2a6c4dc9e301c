/**
 * The map of docs/results.md: how far each recipe is from its baseline at equal cost, cell by cell, out of
 * bench/trials and bench/results/trials.
 */
import { readdirSync, readFileSync } from "node:fs";
import { parse } from "yaml";
import { formatDelta } from "../lib/compare/format.js";
import { type Paired, pairedDifferences, showsNone } from "../lib/compare/paired.js";
import { formatCount } from "../lib/report/format.js";
import { row } from "./marked_table.js";
import { readTrials, trialsFolder } from "./read_trials.js";

/** What a cell's file says for the map. */
interface CellFile {
  /** The text the runs read, in a few words. */
  readonly text: string;
  /** Seeds that nothing was chosen on. */
  readonly fresh?: readonly number[];
  readonly pairs?: readonly { readonly baseline: string; readonly arm: string; readonly recipe: string }[];
}

/** An arm against its baseline in a cell, at equal FLOPs. */
export interface MapPoint {
  readonly cell: string;
  readonly text: string;
  readonly recipe: string;
  readonly parameters: number;
  /** Of the baseline. */
  readonly tokensPerParameter: number;
  /** Mean loss of the baseline over the seeds, in nats a token. */
  readonly baseline: number;
  /** Mean difference in nats a token; below zero the recipe is ahead. */
  readonly difference: number;
  /** Null: one seed. */
  readonly paired: Paired | null;
  readonly seeds: readonly number[];
  /** Whether the recipe was chosen without these seeds. */
  readonly fresh: boolean;
}

const cells = new URL("../bench/trials/", import.meta.url);

const mean = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length;

function pointsOf(cell: string): MapPoint[] {
  const { text, fresh = [], pairs = [] } = parse(readFileSync(new URL(`${cell}.yaml`, cells), "utf8")) as CellFile;
  const trials = readTrials(cell);
  return pairs.flatMap(({ baseline, arm, recipe }) =>
    [false, true].flatMap((isFresh) => {
      const couples = trials
        .filter((trial) => trial.arm === arm && fresh.includes(trial.seed) === isFresh)
        .flatMap((trial) => {
          const partner = trials.find((other) => other.arm === baseline && other.seed === trial.seed);
          return partner === undefined ? [] : [{ trial, partner }];
        });
      if (couples.length === 0) return [];
      const differences = couples.map(({ trial, partner }) => trial.valLoss - partner.valLoss);
      const { parameters, tokens } = couples[0]!.partner;
      return [
        {
          cell,
          text,
          recipe,
          parameters,
          tokensPerParameter: tokens / parameters,
          baseline: mean(couples.map(({ partner }) => partner.valLoss)),
          difference: mean(differences),
          paired: pairedDifferences(differences),
          seeds: couples.map(({ trial }) => trial.seed).sort((a, b) => a - b),
          fresh: isFresh,
        },
      ];
    }),
  );
}

/** All points, by size, then by length. */
export function mapPoints(): MapPoint[] {
  return readdirSync(trialsFolder)
    .filter((file) => file.endsWith(".jsonl"))
    .flatMap((file) => pointsOf(file.replace(/\.jsonl$/, "")))
    .sort((a, b) => a.parameters - b.parameters || a.tokensPerParameter - b.tokensPerParameter);
}

/**
 * Points of the paper (arXiv 2407.12665, table of data sizes, 370M parameters): the token-level run on so many tokens
 * against K = 4 for two thirds of twice as many, at the same cost; perplexities of WikiText-103.
 */
export const publishedPoints = [
  { tokens: 45e9, baseline: 12.5, staged: 11.8 },
  { tokens: 90e9, baseline: 11.71, staged: 11.17 },
  { tokens: 180e9, baseline: 11.28, staged: 10.68 },
].map(({ tokens, baseline, staged }) => ({
  parameters: 370e6,
  tokensPerParameter: tokens / 370e6,
  difference: Math.log(staged / baseline),
}));

function verdict({ paired, difference }: MapPoint): string {
  if (paired === null) return "one seed";
  if (showsNone(paired)) return "no difference seen";
  return difference < 0 ? "ahead" : "behind";
}

function pointRow(point: MapPoint): string {
  const { paired } = point;
  return row([
    formatCount(point.parameters),
    String(Math.round(point.tokensPerParameter)),
    point.text,
    point.recipe,
    point.baseline.toFixed(4),
    formatDelta(point.difference),
    paired === null ? "–" : `${formatDelta(paired.low)} to ${formatDelta(paired.high)}`,
    `${point.seeds.join(", ")}${point.fresh ? " (fresh)" : ""}`,
    verdict(point),
  ]);
}

export function mapTable(): string[] {
  return [
    "| parameters | tokens a parameter | text | recipe | token-level | difference | 95% interval | seeds | |",
    "|---|---|---|---|---|---|---|---|---|",
    ...mapPoints().map(pointRow),
  ];
}
