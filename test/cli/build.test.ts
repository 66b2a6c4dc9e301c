/** `nextpatch build`: what it says is missing, and that it builds, with a small project in the place of the sources. */
import { spawnSync } from "node:child_process";
import { chmodSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeEach, describe, expect, it } from "@jest/globals";
import { builtCommand } from "../support/built.js";

const nextpatch = builtCommand({ addon: false });
const { path } = nextpatch;

/** Runs the command with only these programs on the PATH, each a script that prints a line. */
function withTools(tools: Readonly<Record<string, string>>, ...args: string[]) {
  const folder = path("tools");
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder);
  for (const [name, prints] of Object.entries(tools)) {
    writeFileSync(join(folder, name), `#!/bin/sh\necho "${prints}"\n`);
    chmodSync(join(folder, name), 0o755);
  }
  const { NODE_OPTIONS: _, CXX: __, CUDA_HOME: ___, CUDA_PATH: ____, ...env } = process.env;
  const main = path("dist/cli/main.js");
  const child = spawnSync(process.execPath, [main, "build", ...args], {
    env: { ...env, PATH: folder },
    encoding: "utf8",
  });
  return { code: child.status, stdout: child.stdout, stderr: child.stderr };
}

const root = process.getuid?.() === 0;

describe("nextpatch build without its tools", () => {
  it("names them all, and the line that installs them on Debian and Ubuntu", () => {
    const { code, stdout, stderr } = withTools({ "apt-get": "apt 2.6" });
    expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
    const [first, ...rest] = stderr.trimEnd().split("\n");
    expect(first).toBe(
      "nextpatch build needs what is missing here: g++ 10 or later; cmake 3.22 or later; make or ninja; " +
        "oneDNN (its headers and library)",
    );
    const sudo = root ? "" : "sudo ";
    expect(rest).toEqual([
      "To install them:",
      `  ${sudo}apt-get update && ${sudo}apt-get install -y g++ cmake make libdnnl-dev`,
    ]);
  });

  it("names the line of Fedora and RHEL", () => {
    const { stderr } = withTools({ dnf: "4.14" });
    expect(stderr).toMatch(/dnf install -y gcc-c\+\+ cmake make onednn-devel\n$/);
  });

  it("says which are too old", () => {
    const { stderr } = withTools({ "apt-get": "apt", "g++": "9.4.0", cmake: "cmake version 3.18.4", make: "GNU Make" });
    expect(stderr).toContain("missing here: g++ 10 or later (this is 9.4.0); cmake 3.22 or later (this is 3.18)\n");
    expect(stderr).toMatch(/apt-get install -y g\+\+ cmake\n$/);
  });

  it("asks for nvcc with --cuda only", () => {
    const tools = { "apt-get": "apt", "g++": "12.2.0", cmake: "cmake version 3.25.1", ninja: "1.11.1" };
    const { code, stderr } = withTools({ ...tools, nvcc: "Cuda compilation tools, release 11.8, V11.8.89" }, "--cuda");
    expect(code).toBe(1);
    expect(stderr).toMatch(
      /missing here: nvcc of CUDA 12\.4 or later \(this is 11\.8\), from https:\/\/developer\.nvidia\.com\/cuda-downloads\n/,
    );
    expect(stderr.trimEnd().split("\n").length).toBeLessThanOrEqual(6);
  });
});

describe("nextpatch build", () => {
  beforeEach(() => {
    rmSync(path("build"), { recursive: true, force: true });
    writeFileSync(path("addon.cpp"), 'extern "C" int answer() { return 42; }\n');
    writeFileSync(
      path("CMakeLists.txt"),
      `cmake_minimum_required(VERSION 3.22)
project(small LANGUAGES CXX)
set(CMAKE_LIBRARY_OUTPUT_DIRECTORY \${CMAKE_BINARY_DIR}/Release)
add_library(nextpatch SHARED addon.cpp)
add_library(nextpatch_cpu_baseline MODULE addon.cpp)
set_target_properties(nextpatch PROPERTIES PREFIX "" SUFFIX ".node")
set_target_properties(nextpatch_cpu_baseline PROPERTIES PREFIX "")
file(WRITE \${CMAKE_BINARY_DIR}/settings "\${NEXTPATCH_CUDA} \${NEXTPATCH_SIMT} \${NODE_ADDON_API_DIR}")
`,
    );
  });

  it("builds where the package lies, and says what came of it", async () => {
    const { code, stdout, stderr } = await nextpatch("build", "--json");
    expect({ code, stderr }).toEqual({ code: 0, stderr: expect.stringContaining(`building in ${path("build")}\n`) });
    expect(stderr).toContain("build: 100%");
    const addon = path("build/Release/nextpatch.node");
    const log = path("build/build.log");
    expect(JSON.parse(stdout)).toEqual({ addon, backends: ["cpu"], seconds: expect.any(Number), log });
    expect(existsSync(addon)).toBe(true);
    expect(readFileSync(log, "utf8")).toContain("Linking CXX shared");
    const [cuda, simt, api] = readFileSync(path("build/settings"), "utf8").split(" ");
    expect([cuda, simt]).toEqual(["OFF", "OFF"]);
    expect(existsSync(join(api!, "napi.h"))).toBe(true);
  });

  it("names the first error, and where all of them are", async () => {
    writeFileSync(path("addon.cpp"), "int broken( { return 0; }\n");
    const { code, stdout, stderr } = await nextpatch("build");
    expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
    const lines = stderr.trimEnd().split("\n").slice(-3);
    expect(lines[0]).toMatch(/^nextpatch build failed: .*addon\.cpp:1.*error/);
    expect(lines.slice(1)).toEqual(["For all that was printed:", `  less ${path("build/build.log")}`]);
  });

  it("says that its folder cannot be written", async () => {
    writeFileSync(path("build"), "");
    const { code, stderr } = await nextpatch("build");
    expect(code).toBe(1);
    expect(stderr).toContain(`expected a folder to build in but received ${path("build")}, which cannot be written`);
    expect(stderr.trimEnd().split("\n").at(-1)).toBe(
      "  mkdir mine && cd mine && npm install nextpatch && npx nextpatch build",
    );
  });

  it("builds anew in a folder that was copied from elsewhere", async () => {
    mkdirSync(path("build"));
    writeFileSync(path("build/CMakeCache.txt"), "CMAKE_HOME_DIRECTORY:INTERNAL=/elsewhere\n");
    expect((await nextpatch("build")).code).toBe(0);
  });
});
