/**
 * Renders stored pages anew, with today's style and scripts: `npm run pages [-- FILE…]`. Without files, those of
 * docs/results.
 */
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { renderAnew } from "./stored_page.js";

/** The pages of docs/results. */
export function storedPages(): string[] {
  const results = fileURLToPath(new URL("../docs/results", import.meta.url));
  const files = readdirSync(results, { encoding: "utf8", recursive: true });
  return files.filter((file) => file.endsWith(".html")).map((file) => join(results, file));
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const given = process.argv.slice(2);
  for (const file of given.length > 0 ? given : storedPages()) {
    writeFileSync(file, renderAnew(readFileSync(file, "utf8")));
    process.stdout.write(`${file}\n`);
  }
}
