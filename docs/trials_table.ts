/** The tables of docs/trials.md, out of bench/results/trials: `npm run docs` writes them. */
import { readFileSync } from "node:fs";
import { formatDelta } from "../lib/compare/format.js";

interface Trial {
  readonly arm: string;
  readonly seed: number;
  readonly valLoss: number;
}

const results = new URL("../bench/results/trials/", import.meta.url);

/** A row for each arm of a cell, in the order of the first runs: its loss from every seed. */
function cellTable(cell: string): string[] {
  const text = readFileSync(new URL(`${cell}.jsonl`, results), "utf8");
  const trials = text
    .split("\n")
    .filter(Boolean)
    .map((line) => JSON.parse(line) as Trial);
  const seeds = [...new Set(trials.map(({ seed }) => seed))].sort((a, b) => a - b);
  const arms = [...new Set(trials.map(({ arm }) => arm))];
  const lossOf = (arm: string, seed: number) =>
    trials.find((trial) => trial.arm === arm && trial.seed === seed)?.valLoss;
  const first = arms[0]!;
  const rows = arms.map((arm) => {
    const cells = seeds.map((seed) => {
      const [loss, reference] = [lossOf(arm, seed), lossOf(first, seed)];
      if (loss === undefined) return "–";
      const difference = arm === first || reference === undefined ? "" : ` (${formatDelta(loss - reference)})`;
      return `${loss.toFixed(4)}${difference}`;
    });
    return `| ${[`\`${arm}\``, ...cells].join(" | ")} |`;
  });
  return [
    `| ${["arm", ...seeds.map((seed) => `seed ${seed}`)].join(" | ")} |`,
    `|---|${seeds.map(() => "---|").join("")}`,
    ...rows,
  ];
}

/** The page with its tables as the results are now, each between `<!-- its cell -->` and `<!-- end -->`. */
export function withTrials(page: string): string {
  return page.replace(/<!-- (\w+_\d+k\w*) -->\n[\s\S]*?<!-- end -->/g, (_, cell: string) =>
    [`<!-- ${cell} -->`, ...cellTable(cell), "<!-- end -->"].join("\n"),
  );
}
