/** The package's TypeScript as `npm run build:ts` builds it, once for all tests of the same sources. */
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
} from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../..", import.meta.url));
const cache = join(root, "node_modules/.cache/nextpatch-tests");
/** What is not in lib/ and decides what is built. */
const others = ["tsconfig.json", "tsconfig.build.json", "binding.d.ts", "scripts/commonjs.ts", "package-lock.json"];

/**
 * Puts the package into a folder, as it is installed.
 * @param options.addon whether the folder has the addon
 */
export function putBuilt(folder: string, { addon }: { readonly addon: boolean }): void {
  for (const file of ["package.json", "binding.d.ts"]) copyFileSync(join(root, file), join(folder, file));
  for (const shared of ["node_modules", ...(addon ? ["build"] : [])])
    symlinkSync(join(root, shared), join(folder, shared));
  cpSync(builtDist(), join(folder, "dist"), { recursive: true });
}

/** Its dist folder, for tests to copy. */
export function builtDist(): string {
  const folder = join(cache, hashOfSources());
  if (!existsSync(folder)) build(folder);
  return join(folder, "dist");
}

function hashOfSources(): string {
  const sources = readdirSync(join(root, "lib"), { encoding: "utf8", recursive: true }).filter((name) =>
    name.endsWith(".ts"),
  );
  const hash = createHash("sha256");
  for (const name of [...sources.sort().map((source) => join("lib", source)), ...others]) {
    hash.update(name).update(readFileSync(join(root, name)));
  }
  return hash.digest("hex").slice(0, 16);
}

/** Built aside and renamed, as several processes may build at once. */
function build(folder: string): void {
  mkdirSync(cache, { recursive: true });
  const aside = mkdtempSync(join(cache, "new-"));
  copyFileSync(join(root, "package.json"), join(aside, "package.json"));
  const node = (...args: string[]) =>
    execFileSync(process.execPath, args, { cwd: root, stdio: ["ignore", "pipe", "pipe"] });
  node("node_modules/typescript/bin/tsc", "-p", "tsconfig.build.json", "--outDir", join(aside, "dist"));
  node("node_modules/tsx/dist/cli.mjs", "scripts/commonjs.ts", join(aside, "dist"));
  try {
    renameSync(aside, folder);
  } catch (error) {
    rmSync(aside, { recursive: true });
    if (!existsSync(folder)) throw error;
  }
}
