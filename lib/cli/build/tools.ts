/** The tools that compile the addon, and how to install those that are missing. */
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { isLower } from "../../native/machine.js";

/** A tool that is missing or too old. */
interface Missing {
  /** What is expected, in words. */
  readonly what: string;
  /** Its packages' names by the system's package manager; null: none is new enough. */
  readonly packages: { readonly "apt-get": string; readonly dnf: string } | null;
}

const oldest = { gcc: "10", cmake: "3.22", cuda: "12.4" } as const;

/** What `nextpatch build` needs and does not find. */
function missingTools(cuda: boolean): Missing[] {
  const compiler = process.env.CXX ?? "g++";
  const gcc = versionOf(compiler, ["-dumpfullversion", "-dumpversion"], /^(\d[\d.]*)$/m);
  const cmake = versionOf("cmake", ["--version"], /version (\d+\.\d+)/);
  const nvcc = cuda ? cudaVersion() : null;
  const found: (Missing | false)[] = [
    // Other compilers count their versions differently.
    (gcc === null || (compiler === "g++" && isLower(gcc, oldest.gcc))) && {
      what: `g++ ${oldest.gcc} or later${isThis(gcc)}`,
      packages: { "apt-get": "g++", dnf: "gcc-c++" },
    },
    (cmake === null || isLower(cmake, oldest.cmake)) && {
      what: `cmake ${oldest.cmake} or later${isThis(cmake)}`,
      packages: { "apt-get": "cmake", dnf: "cmake" },
    },
    !["ninja", "make"].some((tool) => runs(tool, ["--version"])) && {
      what: "make or ninja",
      packages: { "apt-get": "make", dnf: "make" },
    },
    !hasOneDnn(gcc === null ? "cc" : compiler) && {
      what: "oneDNN (its headers and library)",
      packages: { "apt-get": "libdnnl-dev", dnf: "onednn-devel" },
    },
    cuda &&
      (nvcc === null || isLower(nvcc, oldest.cuda)) && {
        what: `nvcc of CUDA ${oldest.cuda} or later${isThis(nvcc)}, from https://developer.nvidia.com/cuda-downloads`,
        packages: null,
      },
  ];
  return found.filter((each) => each !== false);
}

/** All that is missing, and the line that installs it, in at most six lines; null: nothing is missing. */
export function missingToolsProblem(cuda: boolean): string | null {
  const missing = missingTools(cuda);
  if (missing.length === 0) return null;
  const manager = (["apt-get", "dnf"] as const).find((name) => runs(name, ["--version"]));
  const names = missing.flatMap(({ packages }) => (packages === null || !manager ? [] : packages[manager]));
  const sudo = process.getuid?.() === 0 ? "" : "sudo ";
  const what = missing.map((each) => each.what).join("; ");
  if (names.length === 0)
    return `nextpatch build needs what is missing here: ${what}\nThen: nextpatch build${cuda ? " --cuda" : ""}`;
  const update = manager === "apt-get" ? `${sudo}apt-get update && ` : "";
  return `nextpatch build needs what is missing here: ${what}\nTo install ${names.length > 1 ? "them" : "it"}:\n  ${update}${sudo}${manager} install -y ${names.join(" ")}`;
}

const isThis = (version: string | null): string => (version === null ? "" : ` (this is ${version})`);

function run(tool: string, args: readonly string[], input = ""): string | null {
  const { status, stdout } = spawnSync(tool, args, { encoding: "utf8", input, stdio: ["pipe", "pipe", "ignore"] });
  return status === 0 ? stdout : null;
}

const runs = (tool: string, args: readonly string[]): boolean => run(tool, args) !== null;

function versionOf(tool: string, args: readonly string[], pattern: RegExp): string | null {
  return pattern.exec(run(tool, args) ?? "")?.[1] ?? null;
}

/** Whether a program with oneDNN compiles and links. */
function hasOneDnn(compiler: string): boolean {
  const program = "#include <oneapi/dnnl/dnnl.h>\nint main() { return dnnl_version() == nullptr; }\n";
  return run(compiler, ["-x", "c++", "-", "-ldnnl", "-o", "/dev/null"], program) !== null;
}

function cudaVersion(): string | null {
  const { CUDA_HOME, CUDA_PATH } = process.env;
  const folders = [CUDA_HOME, CUDA_PATH, "/usr/local/cuda"].filter((folder) => folder !== undefined);
  for (const nvcc of ["nvcc", ...folders.map((folder) => join(folder, "bin", "nvcc"))]) {
    const version = versionOf(nvcc, ["--version"], /release (\d+\.\d+)/);
    if (version !== null) return version;
  }
  return null;
}
