/** The examples in the doc comments of what the package exports, as programs. */
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { declarationsOf } from "../../docs/reference/declarations.js";
import { exportsOf, pageNames } from "../../docs/reference/pages.js";
import { builtDist } from "../support/built_package.js";

export interface Example {
  /** The name of what it is an example of: `patchEmbedding.2` is the second one of `patchEmbedding`. */
  readonly name: string;
  readonly code: string;
}

/** The blocks of code in a declaration's comments. */
function examplesIn(text: string): string[] {
  const blocks = text.matchAll(/^ *\* @example\n *\* ```ts\n([\s\S]*?)^ *\* ```$/gm);
  return [...blocks].map(([, lines]) => lines!.replace(/^ *\* ?/gm, ""));
}

/** All of them, by the pages of the reference. */
export function examples(): Example[] {
  const dist = builtDist();
  return pageNames.flatMap((page) =>
    exportsOf(page).flatMap(({ name, entry }) => {
      const code = declarationsOf(name, join(dist, `${entry}.d.ts`)).flatMap(({ text }) => examplesIn(text));
      return code.map((code, i) => ({ name: i === 0 ? name : `${name}.${i + 1}`, code }));
    }),
  );
}

/**
 * Writes programs and a tsconfig.json for them, as strict as a user's may be, into a folder of a built package.
 * @param files contents by their paths in the folder
 */
export function writePrograms(folder: string, files: Readonly<Record<string, string>>): void {
  for (const [file, code] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, file)), { recursive: true });
    writeFileSync(join(folder, file), code);
  }
  const compilerOptions = {
    target: "es2022",
    module: "nodenext",
    strict: true,
    noUncheckedIndexedAccess: true,
    exactOptionalPropertyTypes: true,
    noUnusedLocals: true,
    skipLibCheck: true,
    types: ["node"],
    rootDir: ".",
  };
  writeFileSync(join(folder, "tsconfig.json"), JSON.stringify({ compilerOptions, files: Object.keys(files) }));
}
