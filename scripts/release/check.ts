/**
 * All that a release does but publishing, on any machine: `npm run release:check [-- --built FOLDER]`. What cannot be
 * built here is named and left out, as by `npm run pack`. It goes on after a failure, so that one run names them all.
 */
import { execFileSync, spawnSync } from "node:child_process";
import { readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { readPackageJson, root } from "./package_json.js";
import { versionProblems } from "./versions.js";

const { values } = parseArgs({ options: { built: { type: "string" } } });
const release = join(root, "release");
let failed = false;

report("the tree is clean", cleanProblems());
report("versions", versionProblems());

rmSync(release, { recursive: true, force: true });
const built = values.built === undefined ? [] : ["--built", values.built];
run("pack", "npm", "run", "--silent", "pack", "--", "--out", release, ...built);

const { name, version } = readPackageJson(root);
const main = `${name}-${version}.tgz`;
const tarballs = readdirSync(release).filter((file) => file.endsWith(".tgz"));
for (const file of tarballs) {
  const tarball = join(release, file);
  run(`publint ${file}`, "npx", "publint", tarball, "--strict");
  // The others have no JavaScript.
  if (file === main) run(`attw ${file}`, "npx", "attw", tarball);
}
run("install", "npm", "run", "--silent", "test:package", "--", "--release", release);
for (const file of tarballs) {
  run(`publish ${file}`, "npm", "publish", join(release, file), "--dry-run", "--access", "public");
}
if (failed) process.exitCode = 1;

function cleanProblems(): string[] {
  const changed = execFileSync("git", ["-C", root, "status", "--porcelain"], { encoding: "utf8" }).trim();
  return changed === "" ? [] : [`expected a commit of everything but received changes:\n${changed}`];
}

function run(what: string, command: string, ...args: string[]): void {
  console.log(`---- ${what}`);
  const { status } = spawnSync(command, args, { cwd: root, stdio: "inherit" });
  report(what, status === 0 ? [] : [`${command} ended with ${status}`]);
}

function report(what: string, problems: readonly string[]): void {
  if (problems.length === 0) console.log(`ok   release: ${what}`);
  else failed = true;
  for (const problem of problems) console.log(`FAIL release: ${what}: ${problem}`);
}
