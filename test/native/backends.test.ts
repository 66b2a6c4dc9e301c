/** Which libraries backends are opened from: from several folders, of several versions, and with one that crashes. */
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { beforeEach, describe, expect, it } from "@jest/globals";
import { missingCuda } from "../../lib/native/cuda.js";
import { type Loaded, loadAddon } from "../../lib/native/load.js";
import { thisMachine } from "../../lib/native/machine.js";
import { crashesOf } from "../../lib/native/trial_cache.js";
import { native } from "../../lib/native.js";
import { makeFakeBackend, PackageTree, version } from "../support/package_tree.js";
import { temporaryFolder } from "../support/temporary.js";

const folder = temporaryFolder();
let tree: PackageTree;
beforeEach(() => {
  tree = new PackageTree(folder("project"));
  process.env.npm_config_user_agent = "npm/11.0.0";
  process.env.XDG_CACHE_HOME = folder("cache");
});

const platform = `linux-${process.arch}`;

/** The addon of the tree: a copy of its own, with its own knowledge of backends. */
function load(): Loaded {
  const result = loadAddon(tree.self);
  if ("problem" in result) throw new Error(result.problem);
  return result;
}

const reportOf = ({ binding }: Loaded, name: string) => binding.backends().find((backend) => backend.name === name)!;
const cudaOf = (suffix: string) => join(tree.add(`${platform}-${suffix}`), "nextpatch_cuda.so");

describe("the cuda backend", () => {
  beforeEach(() => void tree.addPlatform("real"));

  it("is of CUDA 13 where both are installed", () => {
    makeFakeBackend(cudaOf("cuda13"), { device: "of 13" });
    makeFakeBackend(cudaOf("cuda12"), { device: "of 12" });
    expect(reportOf(load(), "cuda").devices.map(({ name }) => name)).toEqual(["of 13"]);
  });

  it("is of CUDA 12 where that of 13 finds no device", () => {
    makeFakeBackend(cudaOf("cuda13"), {});
    makeFakeBackend(cudaOf("cuda12"), { device: "of 12" });
    expect(reportOf(load(), "cuda").devices.map(({ name }) => name)).toEqual(["of 12"]);
  });

  it("is that of a local build where no package has one that works", () => {
    makeFakeBackend(cudaOf("cuda13"), {});
    makeFakeBackend(join(tree.addBuild("real"), "../nextpatch_cuda.so"), { device: "built" });
    expect(reportOf(load(), "cuda").devices.map(({ name }) => name)).toEqual(["built"]);
  });

  it("says why it has no device", () => {
    makeFakeBackend(cudaOf("cuda12"), {});
    expect(reportOf(load(), "cuda")).toMatchObject({ available: false, problem: "the fake driver is too old" });
  });

  it("is refused if it was built of another version", () => {
    const file = cudaOf("cuda13");
    makeFakeBackend(file, { device: "of 13", of: "9.9.9" });
    expect(reportOf(load(), "cuda").problem).toBe(
      `${file} is of version 9.9.9, expected ${version} as the addon: install the same version of all packages, or ` +
        "build again",
    );
  });

  it("is refused if its package is of another version, with the line that installs the right one", () => {
    const path = tree.add(`${platform}-cuda13`, { version: "9.9.9" });
    makeFakeBackend(join(path, "nextpatch_cuda.so"), { device: "of 13" });
    const name = `@nextpatch/${platform}-cuda13`;
    expect(reportOf(load(), "cuda").problem).toBe(
      `${name} is of version 9.9.9, expected ${version} as nextpatch: npm install ${name}@${version}`,
    );
  });

  it("is passed over if opening it ends the process", () => {
    makeFakeBackend(cudaOf("cuda13"), { device: "of 13", signal: "SIGSEGV" });
    makeFakeBackend(cudaOf("cuda12"), { device: "of 12" });
    const loaded = load();
    expect(loaded.passedOver).toEqual(["nextpatch_cuda.so stops with SIGSEGV on this machine"]);
    expect(reportOf(loaded, "cuda").devices.map(({ name }) => name)).toEqual(["of 12"]);
  });

  it("is missing without a package, and the simulated device too", () => {
    const loaded = load();
    expect(reportOf(loaded, "cuda")).toMatchObject({
      available: false,
      problem: missingCuda(thisMachine(), tree.self),
    });
    expect(reportOf(loaded, "simt").problem).toMatch(/^it is for the tests of nextpatch itself/);
  });
});

it.each([
  ["580.65.06", /for the NVIDIA driver 580\.65\.06: npm install @nextpatch\/linux-x64-cuda13@\d/],
  ["570.86.15", /for the NVIDIA driver 570\.86\.15: npm install @nextpatch\/linux-x64-cuda12@\d/],
  ["525.60.13", /: npm install @nextpatch\/linux-x64-cuda12@\d/],
  ["470.57.02", /the NVIDIA driver 470\.57\.02 is too old for the cuda backend: expected 525 or later/],
  ["unknown", /from 580 on: npm install @nextpatch\/linux-x64-cuda13@[\d.]+; before 580: npm install .*-cuda12@\d/],
  [null, /^no NVIDIA driver is installed/],
])("the line for the driver %s installs what it runs", (driver, says) => {
  const machine = { platform: "linux", arch: "x64", libc: "glibc", glibc: "2.36", node: process.version } as const;
  expect(missingCuda(machine, tree.self, driver)).toMatch(says);
});

const sets = native.backendLibraries("cpu").map((file) => basename(file));

describe("a CPU library that ends the process", () => {
  // On a processor with one instruction set only there is no other.
  (sets.length > 1 ? it : it.skip)("is passed over, and the next instruction set used", () => {
    const path = tree.addPlatform("real");
    makeFakeBackend(join(path, sets[0]!), { signal: "SIGILL" });
    const loaded = load();
    expect(loaded.passedOver).toEqual([`${sets[0]} stops with SIGILL on this processor`]);
    const set = /^nextpatch_cpu_(.*)\.so$/.exec(sets[1]!)![1];
    expect(reportOf(loaded, "cpu")).toMatchObject({ available: true, problem: null, versions: { instructions: set } });
  });

  it("is named if there is no other", () => {
    const path = tree.addPlatform("real");
    for (const name of sets) makeFakeBackend(join(path, name), { signal: "SIGILL" });
    const { available, problem } = reportOf(load(), "cpu");
    expect({ available, problem }).toEqual({
      available: false,
      problem: `${sets[0]} stops with SIGILL on this processor`,
    });
  });
});

describe("a verdict", () => {
  const cache = () => JSON.parse(readFileSync(folder("cache/nextpatch/trials.json"), "utf8")) as Record<string, object>;

  it("is remembered, until a file changes", () => {
    const addon = join(tree.addPlatform("real"), "nextpatch.node");
    expect(crashesOf(addon, [], version)).toEqual({});
    const [key] = Object.keys(cache());
    // What only the file can have said.
    writeFileSync(folder("cache/nextpatch/trials.json"), JSON.stringify({ [key!]: { [addon]: "SIGBUS" } }));
    expect(crashesOf(addon, [], version)).toEqual({ [addon]: "SIGBUS" });
    writeFileSync(addon, readFileSync(addon));
    expect(crashesOf(addon, [], version)).toEqual({});
    expect(Object.keys(cache())).toHaveLength(2);
    expect(crashesOf(addon, [], "9.9.9")).toEqual({});
    expect(Object.keys(cache())).toHaveLength(3);
  });

  it("is found anew where it cannot be remembered, or is damaged", () => {
    const path = tree.addPlatform("real");
    const addon = join(path, "nextpatch.node");
    makeFakeBackend(addon, { signal: "SIGILL" });
    process.env.XDG_CACHE_HOME = addon; // a file, which cannot hold one
    for (const _ of [1, 2]) expect(crashesOf(addon, [], version)).toEqual({ [addon]: "SIGILL" });
    process.env.XDG_CACHE_HOME = "/proc/none";
    expect(crashesOf(addon, [], version)).toEqual({ [addon]: "SIGILL" });
    process.env.XDG_CACHE_HOME = folder("cache");
    mkdirSync(folder("cache/nextpatch"), { recursive: true });
    for (const text of ["{", "[]", '"text"', "null"]) {
      writeFileSync(folder("cache/nextpatch/trials.json"), text);
      expect(crashesOf(addon, [], version)).toEqual({ [addon]: "SIGILL" });
    }
    expect(existsSync(folder("cache/nextpatch/trials.json"))).toBe(true);
    expect(Object.values(cache())).toEqual([{ [addon]: "SIGILL" }]);
  });
});

it("an instruction set that does not exist is named, and those that do", () => {
  tree.addPlatform("real");
  process.env.NEXTPATCH_CPU_ISA = "avx1024";
  const addon = join(tree.project, "node_modules/@nextpatch", platform, "nextpatch.node");
  // The native code reads the environment of the process, which is not that of a test.
  const script = `console.log(require(${JSON.stringify(addon)}).backends()[0].problem)`;
  const { stdout } = spawnSync(process.execPath, ["-e", script], { env: process.env, encoding: "utf8" });
  Reflect.deleteProperty(process.env, "NEXTPATCH_CPU_ISA");
  expect(stdout).toMatch(
    /^NEXTPATCH_CPU_ISA: expected an instruction set that this processor has \([\w, ]*baseline\) but received "avx1024"\n$/,
  );
});
