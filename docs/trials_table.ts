/** The tables of docs/trials.md, out of bench/results/trials: `npm run docs` writes them. */
import { formatDelta } from "../lib/compare/format.js";
import { row } from "./marked_table.js";
import { readTrials } from "./read_trials.js";

/** A row for each arm of a cell, in the order of the first runs: its loss from every seed. */
function cellTable(cell: string): string[] {
  const trials = readTrials(cell);
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
    return row([`\`${arm}\``, ...cells]);
  });
  return [row(["arm", ...seeds.map((seed) => `seed ${seed}`)]), `|---|${seeds.map(() => "---|").join("")}`, ...rows];
}

/** The page with its tables as the results are now, each between `<!-- its cell -->` and `<!-- end -->`. */
export function withTrials(page: string): string {
  return page.replace(/<!-- (\w+_\d+k\w*) -->\n[\s\S]*?<!-- end -->/g, (_, cell: string) =>
    [`<!-- ${cell} -->`, ...cellTable(cell), "<!-- end -->"].join("\n"),
  );
}
