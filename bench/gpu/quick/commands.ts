/** The commands that steps are made of. */
import type { Command } from "./run_command.js";

type Environment = Command["env"];

const node = (args: readonly string[], env?: Environment): Command => ({ program: process.execPath, args, env });

/** A script of this folder. */
export function script(name: string, args: readonly (string | number)[], env?: Environment): Command {
  return node(["--import", "tsx", `bench/gpu/quick/${name}.ts`, ...args.map(String)], env);
}

export function nextpatch(...args: readonly (string | number)[]): Command {
  return node(["--import", "tsx", "lib/cli/main.ts", ...args.map(String), "--json"]);
}

/** A program of test/binding/children. */
export function child(name: string, args: readonly string[], env?: Environment): Command {
  return node([`test/binding/children/${name}.mjs`, ...args], env);
}

/** Jest on one backend: a line of JSON for every file of tests. */
export function jest(backend: string, flags: readonly string[], env: Environment): Command {
  const main = ["--experimental-vm-modules", "--no-warnings", "node_modules/jest/bin/jest.js"];
  const reporter = "--reporters=./bench/gpu/quick/jest_reporter.mjs";
  // Last: the option takes every argument that follows it.
  return node([...main, ...flags, reporter], { NEXTPATCH_TEST_BACKENDS: backend, ...env });
}

/**
 * A command under one of compute-sanitizer's tools. A status that the runtime returns to a query, such as an event that
 * was not reached yet, is not an error.
 */
export function sanitized(tool: string, { program, args, env }: Command): Command {
  const flags = ["--target-processes", "all", "--report-api-errors", "no", "--error-exitcode", "9", "--tool", tool];
  return { program: "compute-sanitizer", args: [...flags, program, ...args], env };
}

/** A command under nsys, which leaves `report`.nsys-rep; the sums by kernel go to stdout. */
export function profiled(report: string, { program, args, env }: Command): Command {
  const commands = `report=$1; shift
nsys profile --trace cuda --sample none --cpuctxsw none --force-overwrite true -o "$report" "$@" >&2 &&
  nsys stats --quiet --report cuda_gpu_kern_sum --format json --force-export true "$report.nsys-rep"`;
  return { program: "bash", args: ["-c", commands, "nsys", report, program, ...args], env };
}
