/** Why there is no addon, in at most six lines that end in what to type. */
import { basename, relative } from "node:path";
import { libraryArchitecture } from "./elf.js";
import { isLower, type Machine, oldestNode } from "./machine.js";
import { neededGlibc, type Package, type PlatformPackage, platformPackageName, platforms } from "./package.js";
import { commandLine, installLine, reinstallLine } from "./package_manager.js";

/** A file that may be the addon. */
export interface Candidate {
  readonly file: string;
  /** The package that it is from; null: a local build. */
  readonly package: PlatformPackage | null;
}

const lines = (...all: readonly (string | null)[]): string => all.filter((line) => line !== null).join("\n");

/** What still works without the addon, for who wonders whether to go on. */
const worksHere = "Without it, `prepare`, `info`, `--help` and the types work.";

export function nodeProblem({ node }: Machine): string {
  return lines(
    `nextpatch needs Node ${oldestNode} or later, and this is ${node} (${process.execPath}).`,
    "To install a newer one, from https://nodejs.org or by npm:",
    "  npm install --global node@24",
  );
}

/** Why there is no candidate. */
export function missingProblem(machine: Machine, self: Package): string {
  const { platform, arch } = machine;
  const here = `${platform}-${arch}`;
  if (platform === "win32") {
    return lines(
      `nextpatch computes on Linux or WSL 2, and this is Windows (${here}).`,
      worksHere,
      "To train, install WSL 2 (in PowerShell: wsl --install). Then, in its Linux shell:",
      `  ${installLine("nextpatch", self.root)}`,
    );
  }
  if (platform !== "linux") {
    return lines(
      `nextpatch computes on Linux or WSL 2, and this is ${platform === "darwin" ? "macOS" : platform} (${here}).`,
      worksHere,
      "To train, use a Linux machine; or, on this one, a container, as in:",
      '  docker run --rm -it node:24 bash -c "npm install nextpatch && npx nextpatch info"',
    );
  }
  if (self.clone) {
    return lines(
      "nextpatch's addon is not built: this clone has no build/Release/nextpatch.node.",
      "To install what the build needs, and build: scripts/setup",
      "To build only: npm run build:native",
    );
  }
  const build = `  ${commandLine("build", self.root)}`;
  if (!platforms.includes(here)) {
    return lines(
      `nextpatch's addon is missing: there is no package for ${here}, only for ${platforms.join(" and ")}.`,
      "To compile it from source, which takes minutes and names the tools that are missing:",
      build,
    );
  }
  if (machine.libc === "musl") return muslProblem(here);
  return lines(
    `nextpatch's addon is missing: the package ${platformPackageName(platform, arch)} is not installed.`,
    "It is an optional dependency. An install without those (--omit=optional, --no-optional), or from a lockfile or a",
    "node_modules of another system, leaves it out. To install it:",
    `  ${packageLine(machine, self)}`,
  );
}

/** What is wrong with a file before it is opened; null: nothing that can be seen. */
export function fileProblem({ file, package: from }: Candidate, machine: Machine, self: Package): string | null {
  if (from !== null && from.version !== self.version) {
    return lines(
      `nextpatch ${self.version} needs ${from.name} ${self.version}, and ${from.version} is installed (${from.folder}).`,
      "All packages of nextpatch must have the same version. To install it:",
      `  ${packageLine(machine, self)}`,
    );
  }
  let architecture: string;
  try {
    architecture = libraryArchitecture(file);
  } catch (error) {
    return lines(
      `nextpatch's addon is damaged: ${file}: ${(error as Error).message}.`,
      "To replace it:",
      `  ${replaceLine(from, self)}`,
    );
  }
  if (architecture === machine.arch) return null;
  return lines(
    `nextpatch's addon is for another processor: ${file} is for ${architecture}, and this Node is for ${machine.arch}.`,
    from === null ? null : "The node_modules may come from another machine, or Node is not the one that npm ran with.",
    "To replace it:",
    `  ${replaceLine(from, self)}`,
  );
}

/** A file that ended the process of its trial. */
export function crashProblem({ file, package: from }: Candidate, signal: string, self: Package): string {
  return lines(
    `nextpatch's addon cannot be used here: ${file} stops with ${signal} when it is loaded by ${process.version}.`,
    from === null ? "To build it again:" : "To compile it for this machine from source:",
    `  ${buildLine(self)}`,
  );
}

/** A file that the system's loader refused. */
export function loadProblem(
  { file, package: from }: Candidate,
  error: unknown,
  machine: Machine,
  self: Package,
): string {
  const message = String((error as Error).message).split("\n")[0]!;
  const needed = from === null ? null : neededGlibc(from.folder);
  const other = /version [`'](GLIBC(?:XX)?_[\d.]+)' not found/.exec(message)?.[1];
  if (machine.libc === "musl" || /musl/.test(message)) return muslProblem(`${machine.platform}-${machine.arch}`);
  if (machine.glibc !== null && needed !== null && isLower(machine.glibc, needed)) {
    return glibcProblem(`glibc ${needed} or later, and this system has ${machine.glibc}`, self);
  }
  if (other !== undefined) return glibcProblem(`${other}, which this system's libraries are too old for`, self);
  return lines(
    `nextpatch's addon could not be loaded: ${message}`,
    message.includes(file) ? null : `(${file})`,
    from === null ? "To build it again:" : "To replace it:",
    `  ${replaceLine(from, self)}`,
  );
}

/** An addon of other sources than this package's. */
export function versionProblem({ file, package: from }: Candidate, version: unknown, self: Package): string {
  const is = typeof version === "string" ? version : "another version";
  return lines(
    `nextpatch ${self.version} needs its addon of the same version, and ${file} is of ${is}.`,
    from === null ? "To build it again:" : "To replace it:",
    `  ${replaceLine(from, self)}`,
  );
}

/** A backend's library that ended the process of its trial, in one sentence. */
export function crashedLibrary(file: string, signal: string): string {
  const name = basename(file);
  return signal === "SIGILL"
    ? `${name} stops with ${signal} on this processor`
    : `${name} stops with ${signal} on this machine`;
}

function muslProblem(here: string): string {
  return lines(
    "nextpatch needs glibc, and this system has musl (Alpine Linux).",
    `The packages for ${here} are built for Debian 12, Ubuntu 22.04, RHEL 9 and later.`,
    "To train, use one of these. In a Dockerfile:",
    "  FROM node:24-slim",
  );
}

function glibcProblem(needs: string, self: Package): string {
  return lines(
    `nextpatch's addon needs ${needs}.`,
    "Its packages are built for Debian 12, Ubuntu 22.04, RHEL 9 and later. On an older system, compile from source:",
    `  ${commandLine("build", self.root)}`,
  );
}

const packageLine = ({ platform, arch }: Machine, self: Package): string =>
  installLine(`${platformPackageName(platform, arch)}@${self.version}`, self.root);

const buildLine = (self: Package): string => (self.clone ? "npm run build:native" : commandLine("build", self.root));

function replaceLine(from: PlatformPackage | null, self: Package): string {
  if (from === null) return buildLine(self);
  const folder = relative(process.cwd(), from.folder);
  return reinstallLine(`${from.name}@${self.version}`, folder.startsWith("..") ? from.folder : folder);
}
