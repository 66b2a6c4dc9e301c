/** This package, and the packages that hold what is compiled. */
import { existsSync, readFileSync, realpathSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";

/** This package: where it lies, and what it is. */
export interface Package {
  readonly root: string;
  readonly version: string;
  /** Whether it is a clone of the repository, which is built, and not installed. */
  readonly clone: boolean;
}

/** A package of compiled files. */
export interface PlatformPackage {
  readonly name: string;
  readonly folder: string;
  readonly version: string;
}

/** Platforms with an addon in a package; each is also the name's end: `@nextpatch/linux-x64`. */
export const platforms: readonly string[] = ["linux-x64", "linux-arm64"];

export const platformPackageName = (platform: string, arch: string): string => `@nextpatch/${platform}-${arch}`;

/** The packages with the cuda backend, best first, and the oldest driver (its first number) that each runs with. */
export const cudaPackages = [
  { suffix: "cuda13", driver: 580 },
  { suffix: "cuda12", driver: 525 },
] as const;

export function readPackage(root: string): Package {
  const { version } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as { version: string };
  return { root, version, clone: existsSync(join(root, "lib", "native.ts")) };
}

/**
 * An installed package, found from this one's folder; else from the program's, which sees the project's own packages
 * where this one is linked from a store that all projects share.
 */
export function findPackage({ root }: Package, name: string): PlatformPackage | null {
  for (const from of [join(root, "package.json"), process.argv[1]]) {
    if (from === undefined) continue;
    try {
      const manifest = createRequire(from).resolve(`${name}/package.json`);
      const { version } = JSON.parse(readFileSync(manifest, "utf8")) as { version: string };
      return { name, folder: realpathSync(dirname(manifest)), version };
    } catch {
      // Not there, or not from here.
    }
  }
  return null;
}

/** The addon of a local build, as `bindings` finds it: null if there is none. */
export function findBuild({ root }: Package): string | null {
  const find = createRequire(import.meta.url)("bindings") as (options: object) => string;
  try {
    return realpathSync(find({ bindings: "nextpatch", module_root: root, path: true }));
  } catch {
    return null;
  }
}

/** The oldest glibc that a platform package's addon runs with, from its manifest; null: it does not say. */
export function neededGlibc(folder: string): string | null {
  try {
    const { files } = JSON.parse(readFileSync(join(folder, "manifest.json"), "utf8")) as {
      files: { name: string; glibc?: string }[];
    };
    return files.find(({ name }) => name === "nextpatch.node")?.glibc ?? null;
  } catch {
    return null;
  }
}
