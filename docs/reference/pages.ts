/** The pages of the reference, each a file of `pages` that exports what is on it. */
import { readdirSync, readFileSync } from "node:fs";

const folder = new URL("pages/", import.meta.url);

/** An export of the package, and the entry that has it. */
export interface Export {
  readonly name: string;
  readonly entry: "index" | "kernels";
}

/** The names of the pages. */
export const pageNames: readonly string[] = readdirSync(folder)
  .map((file) => file.replace(/\.ts$/, ""))
  .sort();

/** What is on a page. */
export function exportsOf(page: string): Export[] {
  const text = readFileSync(new URL(`${page}.ts`, folder), "utf8");
  const lists = [...text.matchAll(/^export \{([^}]*)\} from "nextpatch(\/kernels)?";$/gm)];
  return lists.flatMap(([, names, kernels]) => {
    const entry = kernels === undefined ? "index" : "kernels";
    const list = names!.split(",").map((name) => name.replace(/\btype\b/, "").trim());
    return list.filter((name) => name !== "").map((name) => ({ name, entry }) as const);
  });
}
