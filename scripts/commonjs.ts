/**
 * Writes dist/cjs, the CommonJS build of the package's entries, from the built dist: `npm run build:ts`.
 *
 * It is for programs that cannot load ECMAScript modules with `require`: jest before Node 24.9, and Node before 20.19.
 * Everywhere else the condition `module-sync` in package.json gives `require` the modules that `import` gets, so that a
 * process has one copy of each class. Every file is translated for itself: a copy's `import.meta.url` is its original's,
 * so paths relative to it lead to the same files, and both copies load the same addon.
 */
import { copyFileSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { transformSync } from "@swc/core";

const entries = ["index.js", "kernels.js"];
/** Packages that have no CommonJS: import() of them stays, and each is imported when it is needed. */
const modulesOnly = ["hyparquet", "hyparquet-compressors"];
const root = fileURLToPath(new URL("..", import.meta.url));

/** Translates the entries of a built folder, and what they import, into its subfolder `cjs`. */
export function writeCommonJs(dist: string): void {
  const cjs = join(dist, "cjs");
  rmSync(cjs, { recursive: true, force: true });
  for (const file of closure(dist, ".js"))
    write(join(cjs, file), commonJs(readFileSync(join(dist, file), "utf8"), file));
  for (const file of closure(dist, ".d.ts")) write(join(cjs, file), ownTypes(readFileSync(join(dist, file), "utf8")));
  copyFileSync(join(root, "binding.d.ts"), join(cjs, "binding.d.ts"));
  // The nearest manifest says how Node and TypeScript read a .js and a .d.ts file.
  write(join(cjs, "package.json"), '{ "type": "commonjs" }\n');
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
