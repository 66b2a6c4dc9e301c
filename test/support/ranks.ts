/** Runs a program as several ranks, by an MPI's launcher. */
import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe } from "@jest/globals";
import { native } from "../../lib/native.js";

/** The MPI of tests that name none: NEXTPATCH_TEST_ENGINE, else Open MPI. */
const usual = process.env.NEXTPATCH_TEST_ENGINE === "mpich" ? "mpich" : "openmpi";

/** Tests of several ranks, which are skipped where the engine is not. */
export function describeRanks(title: string, tests: () => void, engine: "openmpi" | "mpich" = usual): void {
  (native.engine(engine).available ? describe : describe.skip)(title, tests);
}

export interface Ended {
  readonly code: number | null;
  readonly output: string;
  readonly errors: string;
  readonly seconds: number;
  /** What each rank left with `report`. */
  readonly reports: readonly unknown[];
}

/** As root, in a container too, and on fewer cores than ranks. */
const environment = { OMPI_ALLOW_RUN_AS_ROOT: "1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM: "1", OMP_NUM_THREADS: "1" };

/** The launcher of each engine; Debian has both, by these names too. */
const launchers = { openmpi: ["mpirun", "--oversubscribe"], mpich: ["mpirun.mpich"] };

/** Runs a program as `count` ranks; as 0: without a launcher. NEXTPATCH_TEST_ENGINE in `env` chooses the engine. */
export async function launch(
  count: number,
  program: readonly string[],
  env: NodeJS.ProcessEnv = {},
): Promise<Omit<Ended, "reports">> {
  const engine = env.NEXTPATCH_TEST_ENGINE === undefined ? usual : (env.NEXTPATCH_TEST_ENGINE as "openmpi" | "mpich");
  const launcher = count === 0 ? [] : [...launchers[engine], "-n", String(count)];
  const [command, ...args] = [...launcher, ...program];
  const begin = performance.now();
  const running = spawn(command!, args, {
    env: { ...process.env, ...environment, NODE_OPTIONS: "", ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let [output, errors] = ["", ""];
  running.stdout.on("data", (data: Buffer) => (output += data.toString()));
  running.stderr.on("data", (data: Buffer) => (errors += data.toString()));
  const patience = setTimeout(() => running.kill("SIGKILL"), 60_000);
  const code = await new Promise<number | null>((resolve, reject) => running.on("close", resolve).on("error", reject));
  clearTimeout(patience);
  return { code, output, errors, seconds: (performance.now() - begin) / 1000 };
}

/** The same for a file of test/ranks/children, with a folder for its reports and `args`. */
export async function runRanks(
  count: number,
  name: string,
  args: readonly string[] = [],
  env: NodeJS.ProcessEnv = {},
): Promise<Ended> {
  const folder = mkdtempSync(join(tmpdir(), "nextpatch-ranks-"));
  try {
    const child = fileURLToPath(new URL(`../ranks/children/${name}`, import.meta.url));
    const loader = name.endsWith(".ts") ? ["--import", "tsx"] : [];
    const ended = await launch(count, [process.execPath, ...loader, child, folder, ...args], env);
    const files = Array.from({ length: Math.max(count, 1) }, (_, rank) => join(folder, `${rank}.json`));
    const reports = files.filter(existsSync).map((file) => JSON.parse(readFileSync(file, "utf8")) as unknown);
    return { ...ended, reports };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
