/** The tables of docs/results.md, out of the comparisons in docs/results: `npm run docs` writes them. */
import { readFileSync } from "node:fs";
import type { Comparison } from "../lib/compare/readings.js";
import { formatDelta, formatShare } from "../lib/compare/words.js";
import { formatCount, formatLoss } from "../lib/report/format.js";

/** The comparisons in the first table. */
const runs = [
  "sotu-seed1", "sotu-seed2", "sotu-seed3", "linux-doc-seed1", "quickstart-size",
];
/** The one whose sweep is shown. */
const swept = "sotu-seed1";

function read(name: string): Comparison {
  return JSON.parse(readFileSync(new URL(`results/${name}/comparison.json`, import.meta.url), "utf8")) as Comparison;
}

const row = (cells: readonly string[]) => `| ${cells.join(" | ")} |`;
const loss = (value: number, delta: number) => `${formatLoss(value)} (${formatDelta(delta)})`;

function runsTable(): string[] {
  return [
    row(["comparison", "tokens", "FLOP ×", "time ×", "token-level", "equal data", "equal cost", "equal loss"]),
    "|---|---|---|---|---|---|---|---|",
    ...runs.map((name) => {
      const { baseline, patch, ratio, valLossDelta, equalCost, equalLoss } = read(name);
      return row([
        `[${name}](results/${name}/comparison.md)`,
        formatCount(baseline.tokens),
        formatShare(ratio.flops),
        formatShare(ratio.seconds),
        formatLoss(baseline.valLoss),
        loss(patch.valLoss, valLossDelta),
        equalCost === null ? "–" : loss(equalCost.valLoss, equalCost.valLossDelta),
        equalLoss === null ? "never" : formatShare(equalLoss.flops),
      ]);
    }),
  ];
}

function sweepTable(): string[] {
  return [
    row(["K", "fraction", "FLOP ×", "loss (against token-level)"]),
    "|---|---|---|---|",
    ...(read(swept).sweep ?? []).map(({ patchSize, fraction, ratio, valLoss, valLossDelta }) =>
      row([String(patchSize), String(fraction), formatShare(ratio.flops), loss(valLoss, valLossDelta)]),
    ),
  ];
}

/** The page with its tables as the results are now, each between `<!-- its name -->` and `<!-- end -->`. */
export function withTables(page: string): string {
  const tables = { runs: runsTable, sweep: sweepTable };
  return page.replace(/(<!-- (runs|sweep) -->\n)[^]*?(<!-- end -->)/g, (_, begin: string, name: string, end: string) =>
    [begin, ...tables[name as keyof typeof tables]().map((line) => `${line}\n`), end].join(""),
  );
}
