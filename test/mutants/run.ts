/**
 * Seeded faults, each of which a check must find:
 *
 *     npm run test:mutants [-- PATTERN]      (the faults whose sentence or file has this in it)
 *
 * Every mutant (faults/) is applied to a copy of the sources, built, and given to the one check that should find it. The
 * run fails if a mutant passes its check or fails it with another message, and if the sources as they are fail it. As
 * many checks run at a time as there are CPU cores.
 */
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Bench } from "./bench.js";
import type { Check } from "./checks.js";
import { mutants } from "./faults.js";
import type { Mutant } from "./mutant.js";
import { Sources } from "./sources.js";

const root = fileURLToPath(new URL("../..", import.meta.url));
const pattern = process.argv[2] ?? "";
const nvcc = spawnSync(process.env.NVCC ?? "nvcc", ["--version"]).status === 0;

const runnable = ({ check }: Mutant): boolean => nvcc || check.run.kind !== "assembler";
const matching = mutants.filter(({ fault, file }) => `${file} ${fault}`.includes(pattern));
const wanted = matching.filter(runnable);
const checks = [...new Map(wanted.map(({ check }) => [JSON.stringify(check), check])).values()];

/** The line of an output that says what went wrong. */
function lineWith(output: string, part: string): string {
  const line = output.split("\n").find((each) => each.includes(part)) ?? "";
  return line.trim().slice(0, 160);
}

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}

type Job = (bench: Bench) => Promise<void>;

/** Runs all checks; returns what is wrong. */
async function runAll(scratch: string): Promise<string[]> {
  const sources = await Sources.copy(root, scratch, checks);
  const problems: string[] = [];
  const mutated = (mutant: Mutant): Job => {
    const { check, fault, file, says } = mutant;
    return async (bench) => {
      const start = performance.now();
      const { passed, output } = await bench.run(check, await sources.mutated(mutant), sources.fake(check));
      const seconds = ((performance.now() - start) / 1000).toFixed(1).padStart(6);
      const caught = !passed && output.includes(says);
      const how = passed ? "passes" : caught ? lineWith(output, says) : `fails without ${JSON.stringify(says)}`;
      print(`${caught ? "ok  " : "FAIL"} ${seconds} s  ${file}: ${fault}`);
      print(`     ${check.script}: ${check.part}: ${how}`);
      if (caught) return;
      problems.push(`not caught: ${fault}`);
      if (!passed) print(output.slice(-5000));
    };
  };
  const unchanged = (check: Check): Job => {
    return async (bench) => {
      const { passed, output } = await bench.run(check, sources.unchanged(check), sources.fake(check));
      if (!passed) problems.push(`${check.script}: ${check.part}: fails without a fault\n${output}`);
    };
  };
  const jobs = [...wanted.map(mutated), ...checks.map(unchanged)];
  const worker = async (_: unknown, number: number): Promise<void> => {
    const bench = new Bench(root, join(scratch, `bench-${number}`));
    for (let job = jobs.shift(); job; job = jobs.shift()) await job(bench);
  };
  await Promise.all(Array.from({ length: availableParallelism() }, worker));
  return problems;
}

async function main(): Promise<number> {
  const start = performance.now();
  const scratch = mkdtempSync(join(tmpdir(), "nextpatch-mutants-"));
  try {
    const problems = await runAll(scratch);
    for (const problem of problems) print(problem);
    for (const { fault } of matching.filter((mutant) => !runnable(mutant))) print(`skipped, no nvcc: ${fault}`);
    const seconds = Math.round((performance.now() - start) / 1000);
    const caught = `${wanted.length} faults were caught, and no check failed without one`;
    const result = problems.length > 0 ? `FAILED after ${seconds} s: ${problems.length} of the above` : caught;
    print(`\nmutants: ${problems.length > 0 ? result : `passed in ${seconds} s: ${result}`}`);
    return problems.length > 0 ? 1 : 0;
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

process.exitCode = await main();
