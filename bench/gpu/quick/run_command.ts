/** Runs a command within its time. */
import { spawn } from "node:child_process";
import { closeSync, openSync, readFileSync } from "node:fs";
import { ClockSampler, type ClockSummary } from "./clocks.js";

export interface Command {
  readonly program: string;
  readonly args: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

export interface RunCommandOptions {
  /** After which it has failed. */
  readonly seconds: number;
  /** Its output goes to `log`.out and `log`.log, also if this process is killed. */
  readonly log: string;
  /** Whether to sample the GPU's clocks. */
  readonly clocks: boolean;
  /** Ends it. */
  readonly signal: AbortSignal;
  /** Called now and then while it runs, with its stdout so far. */
  readonly onOutput: (stdout: string) => void;
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

/** Lines of each stream that `tail` has. */
const keptLines = 25;
/** Milliseconds between the request to end and the end by force. */
const graceMs = 2000;
/** Milliseconds between two calls of `onOutput`. */
const outputMs = 2000;

export async function runCommand(
  command: Command,
  { seconds, log, clocks, signal, onOutput }: RunCommandOptions,
): Promise<Ended> {
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
  const end = (by: NodeJS.Signals) => {
    try {
      if (child.pid !== undefined) process.kill(-child.pid, by);
    } catch {
      // It has ended by itself.
    }
  };
  let late = false;
  const timers: NodeJS.Timeout[] = [];
  timers.push(
    setTimeout(() => {
      late = true;
      end("SIGTERM");
      timers.push(setTimeout(() => end("SIGKILL"), graceMs));
    }, 1000 * seconds),
    setInterval(() => onOutput(readFileSync(files[0], "utf8")), outputMs),
  );
  const abort = () => end("SIGKILL");
  signal.addEventListener("abort", abort);
  const failure = await new Promise<string | null>((resolve) => {
    child.once("error", (error) => resolve(error.message));
    child.once("close", (code, by) => {
      if (signal.aborted) resolve("interrupted");
      else if (late) resolve(`not done in ${Math.round(seconds)} s`);
      else resolve(code === 0 ? null : by === null ? `exit code ${code}` : `ended by ${by}`);
    });
  });
  timers.forEach(clearTimeout);
  signal.removeEventListener("abort", abort);
  end("SIGKILL"); // what it has left running would disturb the next
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
