/**
 * What ten minutes on a GPU must answer, the most valuable first:
 *
 *     bench/gpu.sh quick [--device simt] [--budget SECONDS] [PART[/STEP]…]
 *
 * Nothing is compiled here. Every step has its own limit, and may also use what earlier steps have left; the budget
 * ends all of them. The result is one JSON file and one page of text in --out, named after the device. Both are written
 * anew whenever a step begins, has found more, or ends. Steps that do not run keep what an existing file says of them.
 * Exits with 1 if a step failed.
 */
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, rmSync } from "node:fs";
import { parseArgs } from "node:util";
import type { BackendReport } from "../../lib/native.js";
import { Budget } from "./quick/budget.js";
import { parts, type Target } from "./quick/plan.js";
import { allSteps, earlierSteps, type QuickStep, resultFiles, writeResult } from "./quick/result.js";
import { runStep } from "./quick/run_step.js";
import { quickSteps } from "./quick/steps.js";

const usage = `usage: bench/gpu.sh quick [options] [PART[/STEP]…]

What ten minutes on a GPU must answer, of a tree that is built already. Without a PART all of them run, in this order:
${parts.join(", ")}.
A STEP is one line of the table that a run ends with: tests/training.

  --device cuda|simt  where the steps run (default: cuda)
  --budget SECONDS    of all steps together (default: 540)
  --out FOLDER        for the result (default: OUT, else bench/results; on simt .gpu/results)
  --logs FOLDER       for the steps' output, emptied first (default: .gpu/quick)
  --python PROGRAM    with PyTorch (default: PYTHON, else .venv-peers/bin/python if it exists, else python3)
  --help              prints this
`;

const { values: flags, positionals } = readArguments();
if (flags.help) {
  process.stdout.write(usage);
  process.exit();
}
const backend = flags.device as Target["backend"];
// A simulated device's result is not one to keep.
const out = flags.out ?? (backend === "simt" ? ".gpu/results" : "bench/results");
const budgetSeconds = Number(flags.budget);
if (backend !== "cuda" && backend !== "simt") refuse(`--device: expected cuda or simt but received ${backend}`);
if (!(budgetSeconds > 0)) refuse(`--budget: expected seconds but received ${flags.budget}`);

const plans = quickSteps({ backend, logs: flags.logs, python: flags.python });
const choices = new Set(plans.flatMap(({ part, name }) => [part, `${part}/${name}`]));
const unknown = positionals.find((name) => !choices.has(name));
if (unknown !== undefined) {
  const [part] = unknown.split("/");
  const known = plans.filter((plan) => plan.part === part).map((plan) => `${part}/${plan.name}`);
  refuse(`no part '${unknown}': expected ${(known.length > 0 ? known : parts).join(", ")}`);
}
const chosen = new Set<string>(positionals.length === 0 ? parts : ["device", ...positionals]);

rmSync(flags.logs, { recursive: true, force: true });
for (const folder of [flags.logs, out]) mkdirSync(folder, { recursive: true });

const ending = new AbortController();
for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => ending.abort());

const date = new Date().toISOString();
const revision = sourceRevision();
const options = { budget: new Budget(budgetSeconds), logs: flags.logs, revision, signal: ending.signal };
const [first, ...rest] = plans.filter(({ part, name }) => chosen.has(part) || chosen.has(`${part}/${name}`));

// The device's name, without which the result has none, is what the first step finds.
const info = await runStep(first!, { ...options, onChange: () => {} });
const device = deviceName(info);
const earlier = earlierSteps(out, device);
const steps = new Map<string, QuickStep>();
ended(info);
for (const plan of rest) {
  if (ending.signal.aborted) break;
  ended(await runStep(plan, { ...options, onChange: keep }));
}

const files = resultFiles(out, device);
process.stdout.write(`\n${readFileSync(files.text, "utf8")}\n${files.json}\n`);
if (ending.signal.aborted) process.exitCode = 130;
else if ([...steps.values()].some(({ outcome }) => outcome === "failed")) process.exitCode = 1;

function keep(step: QuickStep): void {
  steps.set(step.name, step);
  const all = allSteps(plans, [...steps.values()], earlier, { date, revision });
  writeResult(out, { device, backend, date, revision, steps: all });
}

function ended(step: QuickStep): void {
  keep(step);
  const { phase, name, outcome, seconds, reason = "", output } = step;
  const time = `${seconds.toFixed(0).padStart(4)} s`;
  process.stdout.write(`${phase.padEnd(10)} ${name.padEnd(24)} ${outcome.padEnd(7)} ${time}  ${reason}\n`);
  if (output !== undefined) process.stderr.write(`${output}\n`);
}

/** The first device's name. Ends the program if there is none: nothing else could run. */
function deviceName(step: QuickStep): string {
  const { backends = [] } = (step.result ?? {}) as { backends?: BackendReport[] };
  const report = backends.find(({ name }) => name === backend);
  const found = report?.devices[0]?.name;
  if (found !== undefined) return found;
  process.stderr.write(`bench/gpu.sh quick: no device: ${report?.problem ?? step.reason ?? "none is found"}\n`);
  if (step.output !== undefined) process.stderr.write(`${step.output}\n`);
  process.exit(1);
}

function readArguments() {
  try {
    return parseArgs({
      allowPositionals: true,
      options: {
        device: { type: "string", default: "cuda" },
        budget: { type: "string", default: "540" },
        out: { type: "string" },
        logs: { type: "string", default: ".gpu/quick" },
        python: { type: "string", default: "python3" },
        help: { type: "boolean", short: "h", default: false },
      },
    });
  } catch (error) {
    // Without Node's advice on arguments that begin with a dash.
    return refuse((error as Error).message.split(/\. |\n/)[0]!);
  }
}

function refuse(why: string): never {
  process.stderr.write(`bench/gpu.sh quick: ${why}\n`);
  process.exit(2);
}

/** Git's, or where there is none what `gpu.sh pack` wrote down. */
function sourceRevision(): string {
  try {
    return execFileSync("git", ["describe", "--always", "--dirty"], { encoding: "utf8", stdio: "pipe" }).trim();
  } catch {
    const packed = ".gpu/pack/revision";
    return existsSync(packed) ? readFileSync(packed, "utf8").trim() : "unknown";
  }
}
