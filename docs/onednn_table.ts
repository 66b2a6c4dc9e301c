/** The table of oneDNN's versions in docs/onednn.md: `npm run docs` writes it. */
import { readFileSync } from "node:fs";
import { row, withLines } from "./marked_table.js";

interface Versions {
  readonly rows: readonly {
    readonly arithmetic: string;
    readonly model: string;
    readonly positions: number;
    readonly libraries: readonly { readonly name: string; readonly gflops: number; readonly speedup: number }[];
  }[];
}

/** The page with the table of bench/results/onednn-versions.json, between `<!-- versions -->` and `<!-- end -->`. */
export function withVersions(page: string): string {
  const file = new URL("../bench/results/onednn-versions.json", import.meta.url);
  const { rows } = JSON.parse(readFileSync(file, "utf8")) as Versions;
  const names = rows[0]!.libraries.map(({ name }) => name);
  const lines = rows.map(({ arithmetic, model, positions, libraries }) => {
    const cells = libraries.map(({ gflops, speedup }) => `${Math.round(gflops)} (${speedup.toFixed(2)})`);
    return row([arithmetic, `${model}, ${positions} positions`, ...cells]);
  });
  const head = row(["arithmetic", "the products of a step of", ...names]);
  return withLines(page, "versions", [head, `|---|---|${"---|".repeat(names.length)}`, ...lines]);
}
