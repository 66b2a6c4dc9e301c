/**
 * The tarballs of a release:
 *
 *   npm run pack -- --out release [--only linux-x64,linux-x64-cuda13] [--built FOLDER] [--json]
 *
 * The main package always, and each platform package that can be built here; the others are named, with what they need.
 * --only: these platform packages, and a failure if one cannot be built. --built: FOLDER/x64, FOLDER/arm64, … have
 * binaries that native.sh built elsewhere.
 */
import { mkdirSync, rmSync } from "node:fs";
import { basename, join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { packMain } from "./main_package.js";
import { readPackageJson, root } from "./package_json.js";
import { megabytes, type PackedPackage } from "./packed_package.js";
import { CannotBuild, packPlatform } from "./platform_package.js";
import { type Platform, platforms, shortName, tarballName } from "./platforms.js";

const { values } = parseArgs({
  options: {
    out: { type: "string" },
    only: { type: "string" },
    built: { type: "string" },
    json: { type: "boolean", default: false },
  },
});
if (values.out === undefined) throw new Error("expected --out FOLDER, for the tarballs");
const out = resolve(values.out);
const built = values.built === undefined ? null : resolve(values.built);
const asked = values.only?.split(",") ?? null;
for (const name of asked ?? []) {
  if (platforms.some((platform) => shortName(platform) === name)) continue;
  throw new Error(`--only: expected some of ${platforms.map(shortName).join(",")} but received ${name}`);
}
const { name, version } = readPackageJson(root);
const chosen = asked === null ? platforms : platforms.filter((platform) => asked.includes(shortName(platform)));

mkdirSync(out, { recursive: true });
// What is there from before must not be taken for this version's.
for (const each of [name, ...chosen.map((platform) => platform.name)]) {
  rmSync(join(out, tarballName(each, version)), { force: true });
}

const packed: PackedPackage[] = [packMain(out)];
const leftOut: { readonly name: string; readonly reason: string }[] = [];
for (const platform of chosen) {
  const result = packOrReason(platform);
  if (typeof result === "string") leftOut.push({ name: platform.name, reason: result });
  else packed.push(result);
}

if (values.json) {
  const packages = packed.map(({ tarball, ...rest }) => ({ ...rest, tarball: basename(tarball) }));
  console.log(JSON.stringify({ version, packages, leftOut }));
} else {
  printTable([
    ["package", "packed", "unpacked", "glibc", "built from"],
    ...packed.map((each) => [
      each.name,
      megabytes(each.packedBytes),
      megabytes(each.unpackedBytes),
      each.glibc ?? "",
      each.builtFrom,
    ]),
  ]);
}
for (const { name, reason } of leftOut) console.error(`left out: ${name}: ${reason}`);
for (const { name, problems } of packed) for (const problem of problems) console.error(`${name}: ${problem}`);
const wrong = packed.some(({ problems }) => problems.length > 0);
if (wrong || (asked !== null && leftOut.length > 0)) process.exitCode = 1;

function packOrReason(platform: Platform): PackedPackage | string {
  try {
    return packPlatform(platform, out, built);
  } catch (error) {
    if (error instanceof CannotBuild) return error.message;
    throw error;
  }
}

function printTable(rows: readonly (readonly string[])[]): void {
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)));
  for (const row of rows) {
    console.log(
      row
        .map((cell, column) => cell.padEnd(widths[column]!))
        .join("  ")
        .trimEnd(),
    );
  }
}
