/** The manifests of the packed packages, made from the repository's own package.json. */
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { type Platform, platforms } from "./platforms.js";

export const root = fileURLToPath(new URL("../..", import.meta.url));

/** What the release scripts read of package.json; the rest is carried over as it is. */
export interface PackageJson {
  readonly name: string;
  readonly version: string;
  readonly license: string;
  readonly author: string;
  readonly engines: { readonly node: string };
  readonly files: readonly string[];
  readonly [key: string]: unknown;
}

export const readPackageJson = (folder: string): PackageJson =>
  JSON.parse(readFileSync(`${folder}/package.json`, "utf8")) as PackageJson;

/** Of use in a clone only: a user's npm must run nothing, and compile nothing. */
const cloneOnly = ["scripts", "devDependencies", "overrides", "os", "cpu"];

/** Where the packages come from. npm gives no provenance to one that names another repository than its workflow's. */
function repository(own: PackageJson): object {
  const { GITHUB_SERVER_URL: server, GITHUB_REPOSITORY: name } = process.env;
  if (own.repository !== undefined) return { repository: own.repository };
  return name === undefined ? {} : { repository: { type: "git", url: `git+${server}/${name}.git` } };
}

/** The main package's: nothing to run, and the platform packages at exactly this version. */
export function mainPackageJson(own: PackageJson): PackageJson {
  const kept = Object.entries(own).filter(([key]) => !cloneOnly.includes(key));
  const optionalDependencies = Object.fromEntries(
    platforms.filter(({ withMain }) => withMain).map(({ name }) => [name, own.version]),
  );
  return { ...(Object.fromEntries(kept) as PackageJson), ...repository(own), optionalDependencies };
}

/** A platform package's: binaries and no JavaScript. npm installs it where `os`, `cpu` and `libc` fit. */
export function platformPackageJson(own: PackageJson, platform: Platform, files: readonly string[]): PackageJson {
  const { version, author, license, engines } = own;
  return {
    name: platform.name,
    version,
    description: `For nextpatch: ${platform.brings}.`,
    author,
    license,
    ...repository(own),
    engines,
    os: ["linux"],
    cpu: [platform.cpu],
    libc: ["glibc"],
    files,
    // The loader finds the folder by this file.
    exports: { "./package.json": "./package.json" },
    // Yarn would keep it in a zip, from which the system loads no library.
    preferUnplugged: true,
  };
}
