/** Whether everything that names this package's version names the same one. */
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { compareVersions, readChangelog } from "./changelog.js";
import { readPackageJson, root } from "./package_json.js";

interface Lock {
  readonly version: string;
  readonly packages: { readonly "": { readonly version: string } };
}

/** What is wrong before a release: a sentence each. */
export function versionProblems(): string[] {
  const { version } = readPackageJson(root);
  const { releases } = readChangelog(readFileSync(join(root, "CHANGELOG.md"), "utf8"));
  const problems = consistencyProblems();
  if (releases[0]?.version !== version) {
    problems.push(
      `CHANGELOG.md: expected its newest release to be ${version}, as package.json's version, but received ` +
        `${releases[0]?.version ?? "none"} (npm version writes both)`,
    );
  }
  const tags = git("tag", "--points-at", "HEAD", "v*");
  if (tags.length > 0 && !tags.includes(`v${version}`)) {
    problems.push(`the commit's tag: expected v${version} but received ${tags.join(", ")}`);
  }
  return problems;
}

/** What must hold of every commit: a sentence each. */
export function consistencyProblems(): string[] {
  const { version } = readPackageJson(root);
  const lock = JSON.parse(readFileSync(join(root, "package-lock.json"), "utf8")) as Lock;
  const { releases, problems } = readChangelog(readFileSync(join(root, "CHANGELOG.md"), "utf8"));
  const found = problems.map((problem) => `CHANGELOG.md: ${problem}`);
  for (const locked of new Set([lock.version, lock.packages[""].version])) {
    if (locked !== version) found.push(`package-lock.json: expected version ${version} but received ${locked}`);
  }
  const newest = releases[0]?.version;
  if (newest !== undefined && compareVersions(newest, version) > 0) {
    found.push(`CHANGELOG.md: expected no release after package.json's ${version} but received ${newest}`);
  }
  for (const tag of git("tag", "--list", "v[0-9]*")) {
    if (releases.some((release) => `v${release.version}` === tag)) continue;
    found.push(`CHANGELOG.md: expected a section for the release ${tag} but received none`);
  }
  return found;
}

/** Lines that git prints; none outside of a clone. */
function git(...args: string[]): string[] {
  try {
    return execFileSync("git", ["-C", root, ...args], { encoding: "utf8", stdio: "pipe" })
      .split("\n")
      .filter((line) => line !== "");
  } catch {
    return [];
  }
}
