/**
 * What ten minutes on a GPU must answer, the most valuable first:
 *
 *     bench/gpu.sh quick [--dry] [PART…]
 *
 * Nothing is compiled here. Every step has its own limit, and may also use what earlier steps have left; together they
 * end within nine minutes. After every step the result is written anew: one JSON file and one page of text in --out,
 * named after the GPU. Parts that do not run keep what an existing file says of them. Exits with 1 if a step failed.
 */
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import type { BackendReport } from "../../lib/native.js";
import { earlierSteps, type QuickStep, resultFiles, writeResult } from "./quick/result.js";
import { type Ended, endStep, run } from "./quick/run_step.js";
import { type Part, parts, type QuickPlan, quickSteps } from "./quick/steps.js";

const { values: flags, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    dry: { type: "boolean", default: false },
    out: { type: "string", default: "bench/results" },
    python: { type: "string", default: "python3" },
  },
});
const unknown = positionals.find((name) => !(parts as readonly string[]).includes(name));
if (unknown !== undefined) {
  process.stderr.write(`bench/gpu.sh quick: no part '${unknown}': expected ${parts.join(", ")}\n`);
  process.exit(2);
}
const chosen = new Set<Part>(positionals.length === 0 ? parts : ["device", ...(positionals as Part[])]);

const scratch = join(".gpu", "quick");
rmSync(scratch, { recursive: true, force: true });
for (const folder of [scratch, flags.out]) mkdirSync(folder, { recursive: true });
const plans = quickSteps({ dry: flags.dry, scratch, python: flags.python }).filter(({ part }) => chosen.has(part));

for (const signal of ["SIGINT", "SIGTERM"] as const) {
  process.on(signal, () => {
    endStep("SIGKILL");
    process.exit(130); // what was measured is written
  });
}

/** When a step must have ended: after the limits of all steps up to it. */
let end = performance.now();
let kept: QuickStep[] = [];
let device: string | null = null;
const done: QuickStep[] = [];
for (const plan of plans) {
  end += 1000 * plan.seconds;
  const missing = plan.missing?.() ?? null;
  const log = join(scratch, plan.name);
  const seconds = Math.max(0, (end - performance.now()) / 1000);
  const step =
    missing === null
      ? outcome(plan, await run(plan.command, seconds, log, plan.clocks ?? false))
      : skipped(plan, missing);
  done.push(step);
  const { phase, name, reason = "" } = step;
  process.stdout.write(
    `${phase.padEnd(10)} ${name.padEnd(24)} ${step.outcome.padEnd(7)} ${step.seconds.toFixed(0).padStart(4)} s  ${reason}\n`,
  );
  if (step.output !== undefined) process.stderr.write(`${step.output}\n`);
  if (device === null) {
    device = deviceName(step);
    kept = earlierSteps(flags.out, device, chosen);
  }
  writeResult(flags.out, { device, date: new Date().toISOString(), revision: revision(), steps: inOrder() });
}
const files = resultFiles(flags.out, device!);
process.stdout.write(`\n${readFileSync(files.text, "utf8")}\n${files.json}\n`);
if (done.some((step) => step.outcome === "failed")) process.exitCode = 1;

function outcome(plan: QuickPlan, ended: Ended): QuickStep {
  let { failure } = ended;
  let result: unknown;
  try {
    result = plan.read?.(ended.stdout);
  } catch (error) {
    // A step that failed may have left nothing.
    failure ??= `unexpected output: ${(error as Error).message}`;
  }
  return {
    phase: plan.part,
    name: plan.name,
    outcome: failure === null ? "passed" : "failed",
    seconds: Math.round(10 * ended.seconds) / 10,
    ...(failure === null ? {} : { reason: failure, output: ended.tail }),
    limit: plan.seconds,
    ...(result === undefined || result === null ? {} : { result }),
    ...(ended.clocks === null ? {} : { clocks: ended.clocks }),
  };
}

function skipped({ part, name, seconds }: QuickPlan, reason: string): QuickStep {
  return { phase: part, name, outcome: "skipped", seconds: 0, limit: seconds, reason };
}

/** All steps in the order of the parts. */
function inOrder(): QuickStep[] {
  return parts.flatMap((part) => [...done, ...kept].filter(({ phase }) => phase === part));
}

/** The first device's name, of the step `info`. Ends the program if there is none: nothing else could run. */
function deviceName({ result, reason }: QuickStep): string {
  const { backends = [] } = (result ?? {}) as { backends?: BackendReport[] };
  const backend = backends.find(({ name }) => name === (flags.dry ? "simt" : "cuda"));
  const found = backend?.devices[0]?.name;
  if (found !== undefined) return flags.dry ? "dry" : found;
  process.stderr.write(`bench/gpu.sh quick: no device: ${backend?.problem ?? reason ?? "the driver finds none"}\n`);
  process.exit(1);
}

/** Of the source: what `gpu.sh pack` wrote down, or git's. */
function revision(): string {
  const packed = ".gpu/pack/revision";
  if (existsSync(packed)) return readFileSync(packed, "utf8").trim();
  try {
    return execFileSync("git", ["describe", "--always", "--dirty"], { encoding: "utf8", stdio: "pipe" }).trim();
  } catch {
    return "unknown";
  }
}
