/**
 * Checks a platform package's libraries, and writes what they were built from to manifest.json. The end of native.sh:
 *
 *   tsx scripts/release/manifest.ts FOLDER '{"package": …, "compiler": …}' BUILD_FOLDER...
 */
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { complaints, inspect } from "./elf.js";

const root = fileURLToPath(new URL("../..", import.meta.url));
const [folder, given, ...buildFolders] = process.argv.slice(2);
if (!folder || !given) throw new Error("usage: manifest.ts FOLDER JSON BUILD_FOLDER...");

/** The commit; "+" after it: and changes that were not committed; null: not a clone. */
function commit(): string | null {
  try {
    const git = (...args: string[]) => execFileSync("git", ["-C", root, ...args], { encoding: "utf8", stdio: "pipe" });
    const changed = git("status", "--porcelain", "--untracked-files=no").trim() !== "";
    return git("rev-parse", "HEAD").trim() + (changed ? "+" : "");
  } catch {
    return null;
  }
}

const names = readdirSync(folder, { encoding: "utf8", recursive: true })
  .filter((name) => name !== "manifest.json" && statSync(join(folder, name)).isFile())
  .sort();
const libraries = names.filter((name) => /\.(node|so)(\.\d+)*$/.test(name));

let failed = false;
for (const name of libraries) {
  for (const complaint of complaints(join(folder, name), libraries, buildFolders)) {
    console.error(`${name}: ${complaint}`);
    failed = true;
  }
}
if (failed) process.exit(1);

const files = names.map((name) => {
  const bytes = readFileSync(join(folder, name));
  const entry = { name, bytes: bytes.length, sha256: createHash("sha256").update(bytes).digest("hex") };
  if (!libraries.includes(name)) return entry;
  const { machine, glibc, needed } = inspect(join(folder, name));
  return { ...entry, machine, glibc, needed };
});
const { version } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as { version: string };
const { package: packageName, ...builtFrom } = JSON.parse(given) as Record<string, unknown>;
const manifest = { package: packageName, version, commit: commit(), ...builtFrom, files };
writeFileSync(join(folder, "manifest.json"), `${JSON.stringify(manifest, null, 2)}\n`);
