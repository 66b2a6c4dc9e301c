import { execFile } from "node:child_process";

export interface Outcome {
  readonly passed: boolean;
  readonly output: string;
}

const minutes = 60_000;

/** Runs a program to its end, or for ten minutes. */
export function execute(
  command: string,
  args: readonly string[],
  { cwd, env = {} }: { cwd: string; env?: NodeJS.ProcessEnv },
): Promise<Outcome> {
  return new Promise((resolve) => {
    const options = { cwd, env: { ...process.env, ...env }, maxBuffer: 2 ** 26, timeout: 10 * minutes };
    execFile(command, args, options, (error, stdout, stderr) => {
      const ended = error?.killed ? "stopped after 10 minutes\n" : error?.signal ? `ended by ${error.signal}\n` : "";
      resolve({ passed: error === null, output: ended + stdout + stderr });
    });
  });
}
