/** Runs cmake-js, with progress, and its whole output in a file. */
import { spawn } from "node:child_process";
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, rmSync, writeSync } from "node:fs";
import { createRequire } from "node:module";
import { availableParallelism } from "node:os";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";

export interface BuildOptions {
  /** Where package.json, CMakeLists.txt and native/ are; the build goes to `build` in it. */
  readonly root: string;
  /** Settings of CMake, by name. */
  readonly settings: Readonly<Record<string, string>>;
  readonly onProgress: (done: number, total: number) => void;
}

/**
 * Configures and builds.
 * @returns the file with everything that was printed
 * @throws Error which names the folder that cannot be written, or the first error and that file
 */
export async function compile({ root, settings, onProgress }: BuildOptions): Promise<string> {
  const folder = join(root, "build");
  forgetOtherPlace(folder, root);
  const path = join(folder, "build.log");
  const log = openLog(path);
  try {
    const defined = Object.entries(settings).map(([name, value]) => `--CD${name}=${value}`);
    const jobs = ["--parallel", String(availableParallelism())];
    for (const args of [
      ["configure", ...defined],
      ["build", ...jobs],
    ]) {
      const problem = await cmakeJs(root, args, log, onProgress);
      if (problem === null) continue;
      throw new Error(`nextpatch build failed: ${problem}\nFor all that was printed:\n  less ${path}`);
    }
  } finally {
    closeSync(log);
  }
  return path;
}

/** CMake refuses a folder that it configured for sources elsewhere, as in a copied node_modules. */
function forgetOtherPlace(folder: string, root: string): void {
  const cache = join(folder, "CMakeCache.txt");
  if (!existsSync(cache)) return;
  const home = /^CMAKE_HOME_DIRECTORY:INTERNAL=(.*)$/m.exec(readFileSync(cache, "utf8"))?.[1];
  if (home !== root) rmSync(folder, { recursive: true, force: true });
}

function openLog(path: string): number {
  try {
    mkdirSync(dirname(path), { recursive: true });
    return openSync(path, "w");
  } catch (cause) {
    throw new Error(
      `nextpatch build: expected a folder to build in but received ${dirname(path)}, which cannot be written: ` +
        `${(cause as Error).message}\nBuild as the user that installed nextpatch, or in a project of your own:\n` +
        "  mkdir mine && cd mine && npm install nextpatch && npx nextpatch build",
      { cause },
    );
  }
}

/** Runs cmake-js to its end. Returns its first line with an error, or null. */
async function cmakeJs(
  root: string,
  args: readonly string[],
  log: number,
  onProgress: BuildOptions["onProgress"],
): Promise<string | null> {
  const manifest = createRequire(import.meta.url).resolve("cmake-js/package.json");
  const { bin } = JSON.parse(readFileSync(manifest, "utf8")) as { bin: Record<string, string> };
  const command = [join(dirname(manifest), bin["cmake-js"]!), ...args, "--directory", root];
  const child = spawn(process.execPath, command, { cwd: root, stdio: ["ignore", "pipe", "pipe"] });
  let problem: string | null = null;
  const read = async (stream: NodeJS.ReadableStream) => {
    for await (const line of createInterface({ input: stream })) {
      writeSync(log, `${line}\n`);
      const [, done, total] = /^\[\s*(\d+)(?:\/(\d+)|%)\]/.exec(line) ?? []; // of ninja, or of make
      if (done !== undefined) onProgress(Number(done), Number(total ?? 100));
      if (problem === null && /\berror\b\s*[: ]/i.test(line)) problem = line.trim();
    }
  };
  const ended = new Promise<number | null>((resolve, reject) => child.once("error", reject).once("close", resolve));
  await Promise.all([read(child.stdout), read(child.stderr)]);
  const code = await ended;
  return code === 0 ? null : (problem ?? `cmake-js ${args[0]} ended with ${code}`);
}
