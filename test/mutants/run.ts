/**
 * Seeded faults, each of which a check must find:
 *
 *     npm run test:mutants [-- PATTERN]      (the faults whose sentence has this in it)
 *
 * Every mutant (mutants.ts) is applied to a copy of the sources, built for simt, and given to the one check that should
 * catch it. The run fails if a mutant passes its check, or if the sources as they are fail it. As many checks run at a
 * time as there are CPU cores.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Bench } from "./bench.js";
import { mutants } from "./mutants.js";
import { Sources } from "./sources.js";

const root = fileURLToPath(new URL("../..", import.meta.url));
const wanted = mutants.filter(({ fault }) => fault.includes(process.argv[2] ?? ""));

/** The first line of a test's output that says what went wrong. */
function message(output: string): string {
  const lines = output.split("\n").map((line) => line.trim());
  const test = lines.findIndex((line) => line.startsWith("● "));
  return lines.slice(test + 1).find((line) => line !== "") ?? "";
}

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}

/** Runs all checks; returns what is wrong. */
async function runAll(scratch: string): Promise<string[]> {
  const sources = await Sources.copy(root, scratch);
  const problems: string[] = [];
  const checks = new Map(wanted.map(({ check }) => [JSON.stringify(check), check]));
  const jobs = [
    ...wanted.map(({ fault, check }, i) => async (bench: Bench) => {
      const { passed, output } = await bench.run(check, await sources.mutated(wanted[i]!), sources.fake);
      print(`${passed ? "FAIL" : "ok  "} ${fault}`);
      print(`     ${check.name}: ${passed ? "passes" : message(output)}`);
      if (passed) problems.push(`not caught: ${fault}`);
    }),
    ...[...checks.values()].map((check) => async (bench: Bench) => {
      const { passed, output } = await bench.run(check, sources.unchanged(check.target), sources.fake);
      if (!passed) problems.push(`${check.name}: fails without a fault\n${output}`);
    }),
  ];
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
    const seconds = Math.round((performance.now() - start) / 1000);
    print(
      problems.length > 0
        ? `\nmutants: FAILED after ${seconds} s: ${problems.length} of the above`
        : `\nmutants: passed in ${seconds} s: ${wanted.length} faults were caught`,
    );
    return problems.length > 0 ? 1 : 0;
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

process.exitCode = await main();
