/**
 * Starts a command again as several ranks of this machine, by the MPI that is there, and passes on what is asked of it by
 * signals: a launcher of MPI gives its ranks a second after SIGTERM, which is too short for a checkpoint, but passes
 * SIGUSR1 and SIGUSR2 on as they are.
 */
import { spawn } from "node:child_process";
import { accessSync, constants } from "node:fs";
import { availableParallelism } from "node:os";
import { delimiter, join } from "node:path";
import { ConfigError, DeviceError } from "../errors.js";
import { engines, launchedRank } from "../ranks.js";
import type { CliIo } from "./io.js";
import { passMessages } from "./launcher_messages.js";
import { onSignals } from "./signals.js";

/** Told to ranks whose launcher passes an end on as SIGUSR1, and which end when it is gone. */
const LAUNCHED = "NEXTPATCH_LAUNCHED";

/** More of them only wait for one another. */
const RANKS_PER_CORE = 8;

/** Programs that start ranks, by engine. */
const launchers = { openmpi: ["mpirun.openmpi", "mpirun"], mpich: ["mpiexec.mpich", "mpiexec"] } as const;

/** What is said where a signal ends the work. */
export const endText = (signal: string): string =>
  `${signal}: finishing the step and saving a checkpoint (Ctrl-C ends at once)`;

/** Whether a signal is from the command that started this rank, which has said so. */
export const isPassedOn = (signal: string): boolean => signal === "SIGUSR1" && process.env[LAUNCHED] !== undefined;

/**
 * Runs this process's command line as so many ranks. Resolves with the exit code; null: this process is one of them, or is
 * to be the only one.
 */
export async function runAsRanks(ranks: number, io: CliIo): Promise<number | null> {
  if (ranks === 1 || launchedRank() !== null) return null;
  const most = RANKS_PER_CORE * availableParallelism();
  if (ranks > most) {
    const cores = `${availableParallelism()} cores`;
    throw new ConfigError(`--ranks: expected at most ${most} on this machine's ${cores} but received ${ranks}`);
  }
  const { file, args } = findLauncher(ranks);
  const threads = String(Math.max(1, Math.floor(availableParallelism() / ranks)));
  const env = { OMP_NUM_THREADS: threads, ...process.env, [LAUNCHED]: "1" };
  // Of a group of its own: a Ctrl-C that the terminal sends to all would end the ranks at once.
  const child = spawn(file, [...args, process.execPath, ...process.execArgv, ...process.argv.slice(1)], {
    detached: true,
    env,
    stdio: ["pipe", "inherit", "pipe"],
  });
  const said = passMessages(child.stderr, (message) => io.log(message));
  const stop = onSignals({
    end: (signal) => {
      io.log(endText(signal));
      child.kill("SIGUSR1");
    },
    again: () => child.kill("SIGTERM"),
    warn: () => child.kill("SIGUSR2"),
  });
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once("error", reject);
    child.once("close", resolve);
  });
  stop();
  await said;
  return code ?? 1;
}

/** @throws DeviceError if there is none */
function findLauncher(ranks: number): { file: string; args: string[] } {
  const problems: string[] = [];
  for (const { name, library, problem } of engines()) {
    if (library === null) {
      problems.push(problem!);
      continue;
    }
    const file = launchers[name].map(inPath).find((found) => found !== null);
    if (file === undefined) {
      problems.push(`${library} is there without ${launchers[name].at(-1)}`);
      continue;
    }
    return { file: file!, args: name === "openmpi" ? openMpiArguments(ranks) : ["-n", String(ranks)] };
  }
  throw new DeviceError(
    `--ranks ${ranks}: expected a program that starts ranks but received none: ${problems.join("; ")}`,
  );
}

/** More ranks than cores are the user's choice, and so is root. */
function openMpiArguments(ranks: number): string[] {
  const root = process.getuid?.() === 0 ? ["--allow-run-as-root"] : [];
  return [...root, "--oversubscribe", "--bind-to", "none", "-n", String(ranks)];
}

function inPath(program: string): string | null {
  for (const folder of (process.env.PATH ?? "").split(delimiter)) {
    const file = join(folder, program);
    try {
      accessSync(file, constants.X_OK);
      return file;
    } catch {
      // the next one
    }
  }
  return null;
}

/** Whether a signal says that another rank is gone, so that no step can be finished. */
export const isLost = (signal: string): boolean => signal === "SIGTERM" && process.env[LAUNCHED] !== undefined;

/** Milliseconds in which a launcher whose rank is gone ends the others, after it has closed their standard input. */
const ECHO = 2500;

/** Calls `end` when the command that started this rank is gone, however it went. */
export function onLauncherGone(end: () => void): () => void {
  // Open MPI connects the standard input of the first rank with its own.
  if (process.env[LAUNCHED] === undefined || launchedRank() !== 0) return () => undefined;
  const onEnd = () => setTimeout(end, ECHO).unref();
  process.stdin.once("end", onEnd).resume();
  return () => process.stdin.removeListener("end", onEnd).pause();
}
