/**
 * Starts a command again as several ranks of this machine, by the MPI that is there, and tells the first of them what is
 * asked of it by signals: a launcher of MPI gives its ranks a second after SIGTERM, which is too short for a checkpoint.
 */
import { spawn } from "node:child_process";
import { accessSync, constants } from "node:fs";
import { availableParallelism } from "node:os";
import { basename, delimiter, join } from "node:path";
import { createInterface } from "node:readline";
import type { Writable } from "node:stream";
import { ConfigError, DeviceError } from "../errors.js";
import { launchedPlace, launchedRank } from "../ranks/place.js";
import { engines } from "../ranks.js";
import type { CliIo } from "./io.js";
import { passMessages } from "./launcher_messages.js";
import { onSignals } from "./signals.js";

/** Told to ranks that this command has started: the first one listens to it. */
const LAUNCHED = "NEXTPATCH_LAUNCHED";

/** More of them only wait for one another. */
const RANKS_PER_CORE = 8;

/** Programs that start ranks, by engine. */
const launchers = { openmpi: ["mpirun.openmpi", "mpirun"], mpich: ["mpiexec.mpich", "mpiexec"] } as const;

/** What is said where a signal ends the work. */
export const endText = (signal: string): string =>
  `${signal}: finishing the step and saving a checkpoint (Ctrl-C ends at once)`;

/**
 * Runs this process's command line as so many ranks. Resolves with the exit code; null: this process is one of them, or
 * is to be the only one.
 * @param onSignal what a scheduler's warning does; null: there is nothing to save
 * @throws ConfigError if a launcher started another number of ranks, or the machine is too small for so many
 * @throws DeviceError if there is no launcher
 */
export async function runAsRanks(
  ranks: number,
  io: CliIo,
  onSignal: "continue" | "end" | null,
): Promise<number | null> {
  const place = launchedPlace();
  if (place !== null && ranks !== 1 && ranks !== place.size) {
    throw new ConfigError(
      `parallel.ranks: expected ${place.size}, as many as the launcher started, but received ${ranks}`,
    );
  }
  if (ranks === 1 || place !== null) return null;
  const most = RANKS_PER_CORE * availableParallelism();
  if (ranks > most) {
    const cores = `${availableParallelism()} cores`;
    throw new ConfigError(`--ranks: expected at most ${most} on this machine's ${cores} but received ${ranks}`);
  }
  const { file, args } = findLauncher(ranks);
  // Of a group of its own: a Ctrl-C that the terminal sends to all would end the ranks at once.
  const child = spawn(file, [...args, process.execPath, ...process.execArgv, ...process.argv.slice(1)], {
    detached: true,
    env: environmentOf(ranks),
    stdio: ["pipe", "inherit", "pipe"],
  });
  const said = passMessages(child.stderr, (message) => io.log(message));
  const stop = passSignals(io, onSignal, child.stdin, () => child.kill("SIGTERM"));
  const [code, signal] = await new Promise<[number | null, NodeJS.Signals | null]>((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (...ended) => resolve(ended));
  });
  stop();
  await said;
  if (signal !== null) io.log(`nextpatch: ${basename(file)} was ended by ${signal}; so all ranks have ended`);
  return code ?? 1;
}

/** The environment of the ranks that this command starts. */
export function environmentOf(ranks: number): NodeJS.ProcessEnv {
  const threads = String(Math.max(1, Math.floor(availableParallelism() / ranks)));
  // A launcher that started this process alone would not have its place taken.
  const own = Object.entries(process.env).filter(([name]) => !/^(OMPI|PMIX?|PRTE|HYDRA)_/.test(name));
  return { OMP_NUM_THREADS: threads, ...Object.fromEntries(own), [LAUNCHED]: "1" };
}

/**
 * Tells the first rank what signals ask of all.
 * @param first its standard input
 * @param end ends all at once
 * @returns a function that leaves signals to the system again
 */
export function passSignals(
  io: CliIo,
  onSignal: "continue" | "end" | null,
  first: Writable,
  end: () => void,
): () => void {
  first.on("error", () => undefined); // it has ended
  const ask = (what: "end" | "save") => first.write(`${what}\n`);
  const finish = (signal: string): void => {
    io.log(endText(signal));
    ask("end");
  };
  return onSignals({
    end: (signal) => (onSignal === null ? end() : finish(signal)),
    again: end,
    warn: (signal) => {
      if (onSignal === "end") finish(signal);
      if (onSignal !== "continue") return;
      io.log(`${signal}: saving a checkpoint after this step`);
      ask("save");
    },
  });
}

/** @throws DeviceError if there is none */
function findLauncher(ranks: number): { file: string; args: string[] } {
  const problems: string[] = [];
  for (const { name, library, problem } of engines()) {
    if (name === "nccl") continue;
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

/**
 * Does what the command that started the ranks asks for. It asks by the standard input of the first rank, where it waits
 * until the rank is ready: a signal would open the debugger of a Node that is still starting.
 * @param actions `end` and `save`, which it asks for; `gone`: it has ended
 * @returns a function that stops listening
 */
export function onAsked(actions: { readonly end: () => void; readonly gone: () => void; readonly save: () => void }) {
  if (process.env[LAUNCHED] === undefined || launchedRank() !== 0) return () => undefined;
  const lines = createInterface({ input: process.stdin });
  lines.on("line", (line) => {
    if (line === "end") actions.end();
    if (line === "save") actions.save();
  });
  let stopped = false;
  lines.once("close", () => {
    if (!stopped) setTimeout(actions.gone, ECHO).unref();
  });
  return () => {
    stopped = true;
    lines.close();
    process.stdin.pause();
  };
}
