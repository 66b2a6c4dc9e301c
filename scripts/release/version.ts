/**
 * What `npm version` runs once it has written package.json and package-lock.json: the changelog's unreleased section
 * becomes the new version's, and is part of npm's commit. All packages take their version from package.json.
 */
import { execFileSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { releaseChangelog } from "./changelog.js";
import { readPackageJson, root } from "./package_json.js";

const path = join(root, "CHANGELOG.md");
const today = new Date().toISOString().slice(0, "YYYY-MM-DD".length);
writeFileSync(path, releaseChangelog(readFileSync(path, "utf8"), readPackageJson(root).version, today));
execFileSync("git", ["add", path]);
