/** The tables of docs/results.md, out of the comparisons in docs/results and of the trials: `npm run docs` writes them. */
import { readdirSync, readFileSync } from "node:fs";
import { formatDelta, formatShare } from "../lib/compare/format.js";
import type { Comparison } from "../lib/compare/readings.js";
import { formatCount, formatLoss } from "../lib/report/format.js";
import { mapTable } from "./map.js";
import { row } from "./marked_table.js";

/** The comparisons in the first table. */
const runs = ["sotu-seed1", "sotu-seed2", "sotu-seed3", "linux-doc-seed1", "quickstart-size"];
/** The one whose sweep is shown. */
const swept = "sotu-seed1";

const results = new URL("results/", import.meta.url);

function readJson(path: string): Comparison {
  return JSON.parse(readFileSync(new URL(path, results), "utf8")) as Comparison;
}

const read = (name: string) => readJson(`${name}/comparison.json`);

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

/** A file a rate, named after it; the least loss of each column in bold. */
function learningRateTable(): string[] {
  const found = readdirSync(new URL("learning-rate/", results))
    .map((file) => ({ rate: file.replace(/\.json$/, ""), ...readJson(`learning-rate/${file}`) }))
    .sort((a, b) => Number(a.rate) - Number(b.rate));
  const least = (arm: "baseline" | "patch") => Math.min(...found.map((one) => one[arm].valLoss));
  const cell = (value: number, best: number) => (value === best ? `**${formatLoss(value)}**` : formatLoss(value));
  const [baseline, patch] = [least("baseline"), least("patch")];
  return [
    row(["learning rate", "token-level", "staged"]),
    "|---|---|---|",
    ...found.map((one) => row([one.rate, cell(one.baseline.valLoss, baseline), cell(one.patch.valLoss, patch)])),
  ];
}

const tables: Readonly<Record<string, () => string[]>> = {
  map: mapTable,
  runs: runsTable,
  sweep: sweepTable,
  "learning-rate": learningRateTable,
};

/** The page with its tables as the results are now, each between `<!-- its name -->` and `<!-- end -->`. */
export function withTables(page: string): string {
  return page.replace(/<!-- (\S+) -->\n[\s\S]*?<!-- end -->/g, (_, name: string) => {
    const table = tables[name];
    if (table === undefined)
      throw new Error(`docs/results.md: no table ${name}, expected ${Object.keys(tables).join(", ")}`);
    return [`<!-- ${name} -->`, ...table(), "<!-- end -->"].join("\n");
  });
}
