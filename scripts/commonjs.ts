/**
 * The second half of `npm run build:ts`: translates the package's entries, and what they import, into dist/cjs, and makes
 * of dist/index.js and dist/kernels.js modules that hand on what is there.
 *
 * So `import` and `require` get the same objects, and a process has one copy of the library, whatever loads it: Node with
 * and without `require` of ECMAScript modules, jest in its default mode (which cannot load them before Node 24.9), Bun,
 * tsx. The command stays ECMAScript modules: a process of its own. Every file is translated for itself; a copy's
 * `import.meta.url` is its original's, so that paths relative to it lead to the same files.
 */
import { copyFileSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { transformSync } from "@swc/core";

const entries = ["index.js", "kernels.js"];
/** Packages that have no CommonJS: import() of them stays, and each is imported when it is needed. */
const modulesOnly = ["hyparquet", "hyparquet-compressors"];
const root = fileURLToPath(new URL("..", import.meta.url));

/** @param dist a folder that tsc has just built */
export function writeCommonJs(dist: string): void {
  const cjs = join(dist, "cjs");
  rmSync(cjs, { recursive: true, force: true });
  for (const file of closure(dist, ".js"))
    write(join(cjs, file), commonJs(readFileSync(join(dist, file), "utf8"), file));
  for (const file of closure(dist, ".d.ts")) write(join(cjs, file), ownTypes(readFileSync(join(dist, file), "utf8")));
  // Nothing else has a use for types: the command's modules are imported by nobody.
  for (const file of readdirSync(dist, { encoding: "utf8", recursive: true })) {
    if (file.endsWith(".d.ts") && !file.startsWith("cjs/")) rmSync(join(dist, file));
  }
  copyFileSync(join(root, "binding.d.ts"), join(cjs, "binding.d.ts"));
  // The nearest manifest says how Node and TypeScript read a .js and a .d.ts file.
  write(join(cjs, "package.json"), '{ "type": "commonjs" }\n');
  const require = createRequire(join(cjs, "package.json"));
  for (const entry of entries) {
    const names = Object.keys(require(`./${entry}`) as object).sort();
    write(
      join(dist, entry),
      `import library from "./cjs/${entry}";\n\nexport const {\n  ${names.join(",\n  ")},\n} = library;\n`,
    );
    write(join(dist, entry.replace(/js$/, "d.ts")), `export * from "./cjs/${entry}";\n`);
  }
}

/** The entries and all files that they import, directly or not, relative to `dist`. */
function closure(dist: string, extension: ".js" | ".d.ts"): Set<string> {
  const found = new Set<string>();
  const visit = (file: string): void => {
    if (found.has(file)) return;
    found.add(file);
    for (const [, specifier] of readFileSync(join(dist, file), "utf8").matchAll(
      /(?:from|import\(?) ?"(\.[^"]+)\.js"/g,
    )) {
      const target = relative(dist, join(dist, dirname(file), `${specifier}${extension}`));
      if (!target.startsWith("..")) visit(target); // binding.d.ts lies beside dist
    }
  };
  for (const entry of entries) visit(entry.replace(/\.js$/, extension));
  return found;
}

function commonJs(source: string, file: string): string {
  const module = { type: "commonjs", ignoreDynamic: true } as const;
  const { code } = transformSync(source, { filename: file, jsc: { target: "es2022" }, module });
  // swc writes import.meta.url as a URL made of __filename.
  const original = JSON.stringify(relative(join("cjs", dirname(file)), file));
  const translated = code
    .replaceAll("__filename", `require("node:path").join(__dirname, ${original})`)
    // jest has no import() in CommonJS.
    .replace(/\bimport\(("[^"]+")\)/g, (call, name: string) =>
      modulesOnly.includes(JSON.parse(name) as string) ? call : `Promise.resolve().then(() => require(${name}))`,
    );
  if (translated.includes("import.meta")) throw new Error(`${file}: expected no import.meta but import.meta.url`);
  return translated;
}

/** The types of a copy. They have a copy of binding.d.ts too, or they would be of two kinds of module. */
function ownTypes(source: string): string {
  return source.replace(/"((?:\.\.\/)+)binding\.js"/g, (_, up: string) => `"${up.slice(3) || "./"}binding.js"`);
}

function write(file: string, text: string): void {
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, text);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) writeCommonJs(join(root, "dist"));
