/**
 * Every way in which an install can fail has one message of at most six lines, which ends in what to type. The packages
 * are fake, the files in them broken one way each.
 */
import { copyFileSync, readFileSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeEach, describe, expect, it } from "@jest/globals";
import { loadAddon } from "../../lib/native/load.js";
import type { Machine } from "../../lib/native/machine.js";
import { loadProblem } from "../../lib/native/problems.js";
import { makeFakeBackend, PackageTree, version } from "../support/package_tree.js";
import { temporaryFolder } from "../support/temporary.js";

const folder = temporaryFolder();
let tree: PackageTree;
beforeEach(() => {
  tree = new PackageTree(folder("project"));
  process.env.npm_config_user_agent = "npm/11.0.0";
  process.env.XDG_CACHE_HOME = folder("cache");
});

const here: Machine = {
  platform: "linux",
  arch: process.arch,
  libc: "glibc",
  glibc: "2.36",
  node: process.version,
};
const platform = `@nextpatch/linux-${process.arch}`;

/** The message on a machine, once it is known to be short and to end in a line. */
function problem(machine: Partial<Machine>, ends: string): string {
  const result = loadAddon(tree.self, { ...here, ...machine });
  if (!("problem" in result)) throw new Error("an addon was loaded");
  return checked(result.problem, ends);
}

function checked(text: string, ends: string): string {
  const lines = text.split("\n");
  expect(lines.length).toBeLessThanOrEqual(6);
  for (const line of lines) expect(line.length).toBeLessThanOrEqual(240);
  expect(lines.at(-1)!.trim()).toBe(ends);
  return text;
}

/** A library's header, and nothing else. */
function header(machine: number): Buffer {
  const bytes = Buffer.alloc(64);
  bytes.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]);
  bytes.writeUInt16LE(3, 16);
  bytes.writeUInt16LE(machine, 18);
  return bytes;
}

describe("without a file", () => {
  it("says that macOS has none", () => {
    const text = problem(
      { platform: "darwin", arch: "arm64", libc: null, glibc: null },
      'docker run --rm -it node:24 bash -c "npm install nextpatch && npx nextpatch info"',
    );
    expect(text).toMatch(/^nextpatch computes on Linux or WSL 2, and this is macOS \(darwin-arm64\)\.$/m);
  });

  it("says that Windows has none", () => {
    const text = problem({ platform: "win32", arch: "x64", libc: null, glibc: null }, "npm install nextpatch");
    expect(text).toMatch(/^nextpatch computes on Linux or WSL 2, and this is Windows \(win32-x64\)\.$/m);
    expect(text).toContain("wsl --install");
  });

  it("says that there is no package for the processor", () => {
    expect(problem({ arch: "riscv64" }, "npx nextpatch build")).toContain("there is no package for linux-riscv64");
  });

  it("says that the package is not installed", () => {
    expect(problem({}, `npm install ${platform}@${version}`)).toContain(`the package ${platform} is not installed`);
    process.env.npm_config_user_agent = "pnpm/10.0.0";
    problem({}, `pnpm add ${platform}@${version}`);
  });

  it("says that musl is not supported", () => {
    expect(problem({ libc: "musl", glibc: null }, "FROM node:24-slim")).toContain(
      "this system has musl (Alpine Linux)",
    );
  });

  it("says that a clone is not built", () => {
    const result = loadAddon({ ...tree.self, clone: true }, here);
    checked((result as { problem: string }).problem, "To build only: npm run build:native");
  });
});

it("says that Node is too old", () => {
  const text = problem({ node: "v18.20.0" }, "npm install --global node@24");
  expect(text).toContain("nextpatch needs Node 20 or later, and this is v18.20.0");
});

describe("with a file that cannot be loaded", () => {
  const replace = (path: string) => `rm -r ${path} && npm install`;

  it("says that it is for another processor", () => {
    const foreign = process.arch === "arm64" ? 62 : 183;
    const path = tree.addPlatform(header(foreign));
    const text = problem({}, replace(path));
    expect(text).toMatch(/nextpatch\.node is for (arm64|x64), and this Node is for (x64|arm64)\.$/m);
  });

  it.each([
    ["is cut off", (file: string) => truncateSync(file, 100_000), /it ends after 100000 of \d+ bytes/],
    ["is empty", (file: string) => truncateSync(file, 0), /it is not a Linux library/],
    [
      "is text",
      (file: string) => writeFileSync(file, "version https://git-lfs".repeat(9)),
      /it is not a Linux library/,
    ],
  ])("says that it is damaged: it %s", (_, spoil, says) => {
    const path = tree.addPlatform("real");
    spoil(join(path, "nextpatch.node"));
    expect(problem({}, replace(path))).toMatch(says);
  });

  it("says that it is damaged where the system's loader finds that", () => {
    const path = tree.addPlatform("real");
    const file = join(path, "nextpatch.node");
    const bytes = readFileSync(file);
    bytes.fill(0xff, 64, 4096); // the program headers
    writeFileSync(file, bytes);
    expect(problem({}, replace(path))).toMatch(/^nextpatch's addon could not be loaded: .*nextpatch\.node/);
  });

  it("says that the package is of another version", () => {
    tree.addPlatform("real", { version: "9.9.9" });
    const text = problem({}, `npm install ${platform}@${version}`);
    expect(text).toContain(`nextpatch ${version} needs ${platform} ${version}, and 9.9.9 is installed`);
  });

  it("says that the build is of another version", () => {
    const file = tree.addBuild("real");
    const result = loadAddon({ ...tree.self, version: "9.9.9" }, here);
    const text = checked((result as { problem: string }).problem, "npx nextpatch build");
    expect(text).toContain(`nextpatch 9.9.9 needs its addon of the same version, and ${file} is of ${version}.`);
  });

  it.each(["SIGILL", "SIGSEGV"] as const)("says that it ends the process with %s", (signal) => {
    const path = tree.addPlatform(Buffer.alloc(0));
    makeFakeBackend(join(path, "nextpatch.node"), { signal });
    expect(problem({}, "npx nextpatch build")).toContain(`nextpatch.node stops with ${signal} when it is loaded by v`);
  });
});

describe("with an addon that the system's libraries do not fit", () => {
  const failure = (file: string) => ({
    file,
    package: { name: platform, folder: tree.add(`linux-${process.arch}`, { glibc: "2.34" }), version },
  });

  it("says which glibc it needs, and which there is", () => {
    const error = new Error("/lib/x86_64-linux-gnu/libc.so.6: version `GLIBC_2.34' not found (required by x)");
    const text = loadProblem(failure("x"), error, { ...here, glibc: "2.31" }, tree.self);
    expect(checked(text, "npx nextpatch build")).toContain("needs glibc 2.34 or later, and this system has 2.31.");
  });

  it("says which other library is too old", () => {
    const error = new Error("/lib/libstdc++.so.6: version `GLIBCXX_3.4.30' not found (required by x)");
    expect(checked(loadProblem(failure("x"), error, here, tree.self), "npx nextpatch build")).toContain(
      "GLIBCXX_3.4.30",
    );
  });

  it("says that musl is not supported", () => {
    const error = new Error("Error loading shared library ld-linux-x86-64.so.2: No such file or directory");
    checked(loadProblem(failure("x"), error, { ...here, libc: "musl", glibc: null }, tree.self), "FROM node:24-slim");
  });
});

it("a local build is used where the package cannot be", () => {
  tree.addPlatform(header(process.arch === "arm64" ? 62 : 183));
  const file = tree.addBuild("real");
  const result = loadAddon(tree.self, here);
  expect("binding" in result && result.from).toEqual({ file, package: null });
});

it("a package is used before a local build", () => {
  const path = tree.addPlatform("real");
  copyFileSync(join(path, "nextpatch.node"), tree.addBuild("real"));
  const result = loadAddon(tree.self, here);
  expect("binding" in result && result.from).toEqual({
    file: join(path, "nextpatch.node"),
    package: { name: platform, folder: path, version },
  });
});
