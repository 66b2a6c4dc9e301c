/** What a platform package's build needs, and this machine lacks. */
import { execFileSync, spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { root } from "./package_json.js";
import type { NativeTarget } from "./platforms.js";

/** Each tool, and the package of Debian and Ubuntu that has it. */
const builders = { cmake: "cmake", ninja: "ninja-build", readelf: "binutils" };
/** For oneDNN's source, and MPI's packages for another processor. */
const oneDNN = { "apt-get": "apt", "dpkg-source": "dpkg-dev" };
const wrappers = { "mpicc.openmpi": "libopenmpi-dev", "mpicc.mpich": "libmpich-dev" };
const tools: Readonly<Record<NativeTarget, Readonly<Record<string, string>>>> = {
  x64: { ...builders, ...oneDNN, [process.env.CXX ?? "c++"]: "g++", ...wrappers },
  arm64: { ...builders, ...oneDNN, "aarch64-linux-gnu-g++": "g++-aarch64-linux-gnu" },
  cuda13: { ...builders, [process.env.CXX ?? "c++"]: "g++" },
  cuda12: { ...builders, [process.env.CXX ?? "c++"]: "g++" },
};

/** What is missing and how to get it; null: nothing is. */
export function missingTools(target: NativeTarget): string | null {
  const missing = Object.entries(tools[target]).filter(([tool]) => !isOnPath(tool));
  if (missing.length > 0) {
    const packages = missing.map(([, name]) => name).join(" ");
    return `it needs ${missing.map(([tool]) => tool).join(", ")}: apt-get install -y ${packages}`;
  }
  return target === "cuda13" || target === "cuda12" ? missingCuda(target) : null;
}

function missingCuda(target: "cuda13" | "cuda12"): string | null {
  const home = process.env.CUDA_HOME;
  // Without a toolkit of the caller's, native.sh unpacks one from Debian's archive.
  if (target === "cuda12" && home === undefined && existsSync(join(root, "scripts/release/cuda12.sh"))) {
    return isOnPath("apt-get") && isOnPath("dpkg-deb") ? null : "it needs a CUDA 12 toolkit: set CUDA_HOME";
  }
  const major = target.slice("cuda".length);
  const nvcc = home === undefined ? "nvcc" : join(home, "bin", "nvcc");
  if (!isOnPath(nvcc)) return `it needs a CUDA ${major} toolkit, and found no ${nvcc}: set CUDA_HOME`;
  const version = /release (\d+)\.\d+/.exec(execFileSync(nvcc, ["--version"], { encoding: "utf8" }));
  return version?.[1] === major
    ? null
    : `it needs a CUDA ${major} toolkit, and ${nvcc} is CUDA ${version?.[1]}: set CUDA_HOME`;
}

const isOnPath = (tool: string): boolean =>
  spawnSync("sh", ["-c", 'command -v "$1"', "sh", tool], { stdio: "ignore" }).status === 0;
