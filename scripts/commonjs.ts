/**
 * The second half of `npm run build:ts`: translates what tsc has written in dist to CommonJS, without its comments, and
 * adds dist/index.mjs and dist/kernels.mjs, modules that hand on what is there. The comments of the public API are in the
 * types; all others are in the repository, and would be 80 kB of the package.
 *
 * So `import` and `require` get the same objects, and a process has one copy of the library, whatever loads it: Node with
 * and without `require` of ECMAScript modules, jest in its default mode (which cannot load them before Node 24.9), Bun,
 * tsx. Every file is translated for itself.
 *
 *     tsx scripts/commonjs.ts [DIST]
 */
import { execFileSync } from "node:child_process";
import { chmodSync, copyFileSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { transformSync } from "@swc/core";

const entries = ["index", "kernels"];
/** Packages that have no CommonJS: import() of them stays, and each is imported when it is needed. */
const modulesOnly = /^"hyparquet(-compressors)?(\/.*)?"$/;
const root = fileURLToPath(new URL("..", import.meta.url));

/** @param dist a folder that tsc has just built */
export function writeCommonJs(dist: string): void {
  leaveOutComments(dist);
  const types = new Set(entries.flatMap((entry) => [...closure(dist, `${entry}.d.ts`)]));
  for (const file of readdirSync(dist, { encoding: "utf8", recursive: true })) {
    const path = join(dist, file);
    if (file.endsWith(".js")) writeFileSync(path, commonJs(readFileSync(path, "utf8"), file));
    if (!file.endsWith(".d.ts")) continue;
    // Nothing has a use for the others: the command's modules are imported by nobody.
    if (types.has(file)) writeFileSync(path, ownTypes(readFileSync(path, "utf8")));
    else rmSync(path);
  }
  copyFileSync(join(root, "binding.d.ts"), join(dist, "binding.d.ts"));
  // The nearest manifest says how Node and TypeScript read a .js and a .d.ts file.
  writeFileSync(join(dist, "package.json"), '{ "type": "commonjs" }\n');
  const require = createRequire(join(dist, "package.json"));
  for (const entry of entries) {
    const names = Object.keys(require(`./${entry}.js`) as object).sort();
    writeFileSync(
      join(dist, `${entry}.mjs`),
      `import library from "./${entry}.js";\n\nexport const {\n  ${names.join(",\n  ")},\n} = library;\n`,
    );
    writeFileSync(join(dist, `${entry}.d.mts`), `export * from "./${entry}.js";\n`);
  }
  chmodSync(join(dist, "cli/main.js"), 0o755);
}

/** tsc leaves comments out of the types too, if it is told to: so it writes the JavaScript once more. */
function leaveOutComments(dist: string): void {
  const flags = ["-p", "tsconfig.build.json", "--declaration", "false", "--removeComments", "--outDir", resolve(dist)];
  execFileSync(process.execPath, ["node_modules/typescript/bin/tsc", ...flags], { cwd: root, stdio: "inherit" });
}

/** An entry's types and all that they import, directly or not, relative to `dist`. */
function closure(dist: string, entry: string): Set<string> {
  const found = new Set<string>();
  const visit = (file: string): void => {
    if (found.has(file)) return;
    found.add(file);
    for (const [, specifier] of readFileSync(join(dist, file), "utf8").matchAll(
      /(?:from|import\(?) ?"(\.[^"]+)\.js"/g,
    )) {
      const target = relative(dist, join(dist, dirname(file), `${specifier}.d.ts`));
      if (!target.startsWith("..")) visit(target); // binding.d.ts lies beside dist
    }
  };
  visit(entry);
  return found;
}

function commonJs(source: string, file: string): string {
  // Node finds the names of a CommonJS module by this note, for programs that import one by its path: those directly in
  // dist, as each note makes the package larger.
  const exportInteropAnnotation = !file.includes("/");
  const module = { type: "commonjs", ignoreDynamic: true, exportInteropAnnotation } as const;
  const { code } = transformSync(source, { filename: file, jsc: { target: "es2022" }, module });
  const translated = code
    // jest has no import() in CommonJS.
    .replace(/\bimport\(("[^"]+")\)/g, (call, name: string) =>
      modulesOnly.test(name) ? call : `Promise.resolve().then(() => require(${name}))`,
    );
  if (translated.includes("import.meta")) throw new Error(`${file}: expected no import.meta but import.meta.url`);
  return translated;
}

/** Types that have a copy of binding.d.ts: the package's own is of another kind of module. */
function ownTypes(source: string): string {
  return source.replace(/"((?:\.\.\/)+)binding\.js"/g, (_, up: string) => `"${up.slice(3) || "./"}binding.js"`);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) writeCommonJs(process.argv[2] ?? join(root, "dist"));
