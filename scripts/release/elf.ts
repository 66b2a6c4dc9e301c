/** What a shared library needs of the machine that it is loaded on, by binutils' readelf. */
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { basename } from "node:path";

export interface Library {
  /** As readelf names it: "AArch64". */
  readonly machine: string;
  /** The newest version of glibc whose symbols it uses: "2.34". */
  readonly glibc: string;
  /** Symbol versions of other libraries: "GLIBCXX_3.4.30". */
  readonly otherVersions: readonly string[];
  /** The libraries that it is linked with. */
  readonly needed: readonly string[];
  readonly runpath: string | null;
  /** The symbols that others can link with. */
  readonly exported: readonly string[];
}

/** The newest glibc that a package may need: that of Ubuntu 22.04 (2.35) and RHEL 9 (2.34). */
export const newestGlibc = "2.34";

const systemLibraries = /^(libc\.so\.6|libm\.so\.6|libdl\.so\.2|libpthread\.so\.0|librt\.so\.1|ld-linux-.*\.so\.\d)$/;

/** What an engine of many ranks is linked with: the MPI that its user has, by the name of its binary interface. */
const ofEngines: ReadonlyMap<string, string> = new Map([
  ["nextpatch_openmpi.so", "libmpi.so.40"],
  ["nextpatch_mpich.so", "libmpich.so.12"],
]);

const readelf = (file: string, ...flags: string[]): string =>
  execFileSync("readelf", ["--wide", ...flags, file], { encoding: "utf8", maxBuffer: 1 << 26 });

const newest = (versions: readonly string[]): string =>
  [...versions].sort((a, b) => a.localeCompare(b, "en", { numeric: true })).at(-1) ?? "0";

export function inspect(file: string): Library {
  const dynamic = readelf(file, "--dynamic");
  const versions = readelf(file, "--version-info").split("Version needs section").slice(1).join("");
  const required = [...versions.matchAll(/Name: ([A-Z]+)_(\S+)/g)].map(([, family, version]) => ({ family, version }));
  const glibc = required.filter(({ family }) => family === "GLIBC").map(({ version }) => version!);
  const symbols = readelf(file, "--dyn-syms").matchAll(/ (?:GLOBAL|WEAK|UNIQUE) +DEFAULT +(?:\d+|ABS) ([^\s@]+)/g);
  return {
    machine: /Machine: +(.*)/.exec(readelf(file, "--file-header"))![1]!,
    glibc: newest(glibc),
    otherVersions: required
      .filter(({ family }) => family !== "GLIBC")
      .map((needs) => `${needs.family}_${needs.version}`),
    needed: [...dynamic.matchAll(/\(NEEDED\).*\[(.*)\]/g)].map(([, name]) => name!),
    runpath: /\((?:RUNPATH|RPATH)\).*\[(.*)\]/.exec(dynamic)?.[1] ?? null,
    exported: [...symbols].map(([, name]) => name!),
  };
}

/**
 * Why a library may not be in a package; empty if it may.
 * @param beside the names of the package's other libraries
 * @param buildFolders absolute paths of which the file may hold none
 */
export function complaints(file: string, beside: readonly string[], buildFolders: readonly string[]): string[] {
  const library = inspect(file);
  const found: string[] = [];
  if (newest([library.glibc, newestGlibc]) !== newestGlibc) {
    found.push(`needs glibc ${library.glibc}, expected ${newestGlibc} at most`);
  }
  // What lies in a package is linked with nothing but the system's C library, libgomp with its own versions included.
  for (const version of library.otherVersions) {
    if (!/^(GOMP|OMP)_/.test(version)) found.push(`needs ${version}, expected a static libstdc++ and libgcc`);
  }
  for (const name of library.needed) {
    if (systemLibraries.test(name) || ofEngines.get(basename(file)) === name) continue;
    if (!beside.includes(name)) found.push(`needs ${name}, which neither glibc nor the package has`);
    else if (library.runpath !== "$ORIGIN") found.push(`finds ${name} in ${library.runpath}, expected $ORIGIN`);
  }
  const entries = /^(nextpatch_backend|nextpatch_engine|napi_register_module_v1|node_api_module_get_api_version_v1)$/;
  if (/^nextpatch/.test(basename(file))) {
    for (const name of library.exported) if (!entries.test(name)) found.push(`exports ${name}`);
    if (!library.exported.some((name) => entries.test(name))) found.push("exports no entry");
  }
  const bytes = readFileSync(file);
  for (const folder of buildFolders)
    if (bytes.includes(`${folder}/`)) found.push(`holds a path of the build: ${folder}`);
  return found;
}
