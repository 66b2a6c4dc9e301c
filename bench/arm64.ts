/** Whether the CUDA sources compile for servers with Arm processors, such as GH200 and GB200. */
import { execFile } from "node:child_process";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { inParallel } from "./parallel.js";
import { printed } from "./printed.js";

/** The compilers' names in Debian and Ubuntu; a toolkit may not support the newest. */
const compilers = ["aarch64-linux-gnu-g++-12", "aarch64-linux-gnu-g++"];

const run = promisify(execFile);

/** An aarch64 compiler on the PATH; null if there is none. */
export function arm64Compiler(): string | null {
  return compilers.find((name) => printed(name, ["--version"]) !== null) ?? null;
}

/**
 * Compiles every .cu and .cpp file of a folder with an aarch64 host compiler, and does not link them. The device code
 * does not depend on the host: it is PTX, not optimized.
 * @returns messages of those that do not compile, or not without a warning
 */
export async function compileForArm64(nvcc: string, compiler: string, folder: string, scratch: string) {
  const files = readdirSync(folder, { encoding: "utf8", recursive: true }).filter((name) => /\.(cu|cpp)$/.test(name));
  const headers = toolkitHeaders(nvcc);
  const warnings = "-Wall,-Wextra,-Wno-unused-parameter,-Werror";
  const messages = await inParallel(files.sort(), async (file) => {
    const output = ["-o", join(scratch, `${file.replaceAll("/", "_")}.arm64.o`)];
    const host = ["-std=c++17", "-ccbin", compiler, "-Xcompiler", warnings, ...headers];
    const device = file.endsWith(".cu") ? ["-gencode=arch=compute_90,code=compute_90", "-Xcicc", "-O0"] : [];
    return run(nvcc, [...host, ...device, "-c", ...output, join(folder, file)]).then(
      () => null,
      (error: { stderr: string }) => `${file} does not compile with ${compiler}: ${error.stderr.trim()}`,
    );
  });
  return { files: files.length, failures: messages.filter((message) => message !== null) };
}

/**
 * Where nvcc finds CUDA's headers for this machine. A toolkit for x86-64 looks for those of aarch64 in a folder that it
 * does not have, and its own are the same.
 */
function toolkitHeaders(nvcc: string): string[] {
  const steps = printed(nvcc, ["-dryrun", "-x", "cu", "-c", "/dev/null", "-o", "/dev/null"]) ?? "";
  const folders = [...steps.matchAll(/^#\$ (?:SYSTEM_)?INCLUDES=(.*)$/gm)].flatMap(([, flags]) =>
    [...flags!.matchAll(/"(?:-I)?([^"-][^"]*)"/g)].map(([, folder]) => folder!),
  );
  return folders.flatMap((folder) => ["-isystem", folder]);
}
