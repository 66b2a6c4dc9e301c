/** The command as installed: the built package, run as a separate process. */
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll } from "@jest/globals";
import { putBuilt } from "./built_package.js";

export interface Finished {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Command {
  /** Runs `nextpatch` with these arguments, in the file's folder, to its end. */
  (...args: string[]): Promise<Finished>;
  /** Starts it; `finished` resolves at its end. */
  start(...args: string[]): { process: ChildProcess; finished: Promise<Finished> };
  /** Runs a line of bash in that folder, in which `nextpatch` is the command. */
  shell(line: string): Promise<Finished>;
  /** A path in the folder that all tests of a file share, gone after them. */
  path(name: string): string;
}

/** What was said on stderr besides the line that tells what is computed on. */
export function complaint(stderr: string): string {
  return stderr.replace(/^(computing on|cpu:|cuda:) .*\n/, "");
}

/**
 * Puts the built package into a folder of its own before the tests of a file.
 * @param options.addon whether the folder has the addon; default: it has
 */
export function builtCommand({ addon = true } = {}): Command {
  let folder = "";
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), "nextpatch-cli-"));
    putBuilt(folder, { addon });
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  const main = () => join(folder, "dist/cli/main.js");
  const started = (file: string, args: readonly string[]) => {
    // As a user's shell has it: nothing of jest's.
    const { NODE_OPTIONS: _, ...env } = process.env;
    const child = spawn(file, args, { cwd: folder, env, stdio: ["pipe", "pipe", "pipe"] });
    const output = { stdout: "", stderr: "" };
    for (const stream of ["stdout", "stderr"] as const) {
      child[stream].setEncoding("utf8").on("data", (text: string) => (output[stream] += text));
    }
    const finished = new Promise<Finished>((resolve, reject) => {
      child.once("error", reject);
      child.once("close", (code) => resolve({ code, ...output }));
    });
    return { process: child, finished };
  };
  const start = (...args: string[]) => started(process.execPath, [main(), ...args]);
  const shell = (line: string) =>
    started("bash", ["-c", `nextpatch() { '${process.execPath}' '${main()}' "$@"; }; ${line}`]).finished;
  const command = (...args: string[]) => start(...args).finished;
  return Object.assign(command, { start, shell, path: (name: string) => join(folder, name) });
}
