/** Runs one step's command within its time. */
import { spawn } from "node:child_process";
import { closeSync, openSync, readFileSync } from "node:fs";
import { ClockSampler, type ClockSummary } from "./clocks.js";

export interface Command {
  readonly program: string;
  readonly args: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

export interface Ended {
  /** Null if it succeeded. */
  readonly failure: string | null;
  readonly seconds: number;
  readonly stdout: string;
  /** Both streams' ends. */
  readonly tail: string;
  readonly clocks: ClockSummary | null;
}

/** Lines of each stream that a failed step's result keeps. */
const keptLines = 25;
/** Milliseconds between the request to end and the end by force. */
const graceMs = 2000;

let current: number | undefined;

/** Ends the running step with all of its processes. */
export function endStep(signal: NodeJS.Signals): void {
  try {
    if (current !== undefined) process.kill(-current, signal);
  } catch {
    // It has ended by itself.
  }
}

/**
 * @param seconds after which it has failed
 * @param log its output goes to `log`.out and `log`.log, also if this process is killed
 * @param clocks whether to sample those of the GPU
 */
export async function run(command: Command, seconds: number, log: string, clocks: boolean): Promise<Ended> {
  const files = [`${log}.out`, `${log}.log`] as const;
  const [out, err] = files.map((file) => openSync(file, "w"));
  const sampler = clocks ? new ClockSampler() : null;
  const start = performance.now();
  // Jest's options, where a test runs this.
  const { NODE_OPTIONS: _, ...env } = process.env;
  const child = spawn(command.program, command.args, {
    detached: true, // a process group of its own, so that all of it can be ended
    env: { ...env, ...command.env },
    stdio: ["ignore", out!, err!],
  });
  current = child.pid;
  let late = false;
  const timers: NodeJS.Timeout[] = [];
  timers.push(
    setTimeout(() => {
      late = true;
      endStep("SIGTERM");
      timers.push(setTimeout(() => endStep("SIGKILL"), graceMs));
    }, 1000 * seconds),
  );
  const failure = await new Promise<string | null>((resolve) => {
    child.once("error", (error) => resolve(error.message));
    child.once("close", (code, signal) => {
      if (late) resolve(`not done in ${Math.round(seconds)} s`);
      else resolve(code === 0 ? null : signal === null ? `exit code ${code}` : `ended by ${signal}`);
    });
  });
  timers.forEach(clearTimeout);
  endStep("SIGKILL"); // what it has left running would disturb the next
  current = undefined;
  for (const file of [out!, err!]) closeSync(file);
  const [stdout, stderr] = files.map((file) => readFileSync(file, "utf8"));
  return {
    failure,
    seconds: (performance.now() - start) / 1000,
    stdout: stdout!,
    tail: [stderr!, stdout!].map(lastLines).join("").trim(),
    clocks: sampler === null ? null : sampler.stop(),
  };
}

/** The end of a stream; a long line, such as a result, is cut. */
function lastLines(text: string): string {
  const lines = text.trim().split("\n").slice(-keptLines);
  return `${lines.map((line) => line.slice(0, 400)).join("\n")}\n`;
}
