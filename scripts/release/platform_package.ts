/** A platform package: the binaries of native.sh, with a manifest for npm, a README and the licences. */
import { execFileSync } from "node:child_process";
import { copyFileSync, cpSync, existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { builtFrom, manifestProblems, readManifest } from "./native_manifest.js";
import { type PackageJson, platformPackageJson, readPackageJson, root } from "./package_json.js";
import { checkSize, newest, type PackedPackage } from "./packed_package.js";
import type { Platform } from "./platforms.js";
import { platformReadme } from "./readme.js";
import { pack, type Unpacked, withUnpacked } from "./tarball.js";
import { missingTools } from "./tools.js";

/** It cannot be built on this machine. */
export class CannotBuild extends Error {}

/** What the release adds to the binaries. */
const added = ["LICENSE", "README.md", "package.json"];

/**
 * Builds a package's binaries, or takes those that were built elsewhere, and packs them.
 * @param built a folder with native.sh's results by their targets: those that it has are not built here
 * @throws CannotBuild which says what is missing
 */
export function packPlatform(platform: Platform, out: string, built: string | null): PackedPackage {
  const own = readPackageJson(root);
  const stage = mkdtempSync(join(tmpdir(), `nextpatch-${platform.target}-`));
  try {
    const given = built === null ? null : join(built, platform.target);
    if (given === null || !existsSync(given)) build(platform, stage);
    else if (existsSync(join(given, "manifest.json"))) cpSync(given, stage, { recursive: true });
    else throw new CannotBuild(`${given} has no manifest.json, which native.sh writes last`);
    const manifest = readManifest(stage);
    copyFileSync(join(root, "LICENSE"), join(stage, "LICENSE"));
    writeFileSync(join(stage, "README.md"), platformReadme(platform, manifest));
    const files = [...new Set(manifest.files.map(({ name }) => name.split("/")[0]!)), "manifest.json"];
    const json = platformPackageJson(own, platform, files);
    writeFileSync(join(stage, "package.json"), `${JSON.stringify(json, null, 2)}\n`);
    const tarball = pack(stage, out);
    return withUnpacked(tarball, (unpacked) => ({
      name: platform.name,
      version: own.version,
      tarball,
      packedBytes: unpacked.packedBytes,
      unpackedBytes: unpacked.unpackedBytes,
      glibc: newest(manifest.files.flatMap(({ glibc }) => glibc ?? [])),
      builtFrom: builtFrom(manifest),
      problems: problems(platform, unpacked, own),
    }));
  } finally {
    rmSync(stage, { recursive: true });
  }
}

function build({ target }: Platform, folder: string): void {
  const missing = missingTools(target);
  if (missing !== null) throw new CannotBuild(missing);
  console.error(`building ${target}`);
  try {
    execFileSync("bash", [join(root, "scripts/release/native.sh"), target, folder], {
      stdio: ["ignore", "ignore", "inherit"],
    });
  } catch {
    throw new CannotBuild(`scripts/release/native.sh ${target} failed, as said above`);
  }
}

function problems(platform: Platform, { folder, files, packedBytes }: Unpacked, own: PackageJson): string[] {
  const manifest = readManifest(folder);
  return [
    ...checkSize(packedBytes, platform.maxPackedBytes),
    ...[...added, ...platform.libraries].filter((name) => !files.includes(name)).map((name) => `it lacks ${name}`),
    ...(files.some((name) => name.startsWith("licenses/")) ? [] : ["it lacks licenses"]),
    ...manifestProblems(folder, manifest, added),
    ...differs("manifest.json: package", manifest.package, platform.name),
    ...differs("manifest.json: version", manifest.version, own.version),
    ...differs("manifest.json: commit", manifest.commit?.replace("+", "") ?? null, headCommit()),
  ];
}

const differs = (what: string, received: string | null, expected: string | null): string[] =>
  received === expected ? [] : [`${what}: expected ${expected} but received ${received}`];

/** The commit of this clone; null: it is none. */
function headCommit(): string | null {
  try {
    return execFileSync("git", ["-C", root, "rev-parse", "HEAD"], { encoding: "utf8", stdio: "pipe" }).trim();
  } catch {
    return null;
  }
}
