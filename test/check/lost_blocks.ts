/**
 * Whether `info --check` notices that a kernel has left out one of its blocks:
 *
 *     npm run test:lost-blocks
 *
 * Every kernel that the check launches on `simt` loses its first block, and then its last, in all its launches. The run
 * fails if no operation differs from the CPU's then, or if a kernel of the library is never launched. A crash is noticed
 * too: on a GPU it is an illegal memory access, as of a kernel that takes indices from another. As many processes run at
 * a time as there are CPU cores.
 */
import { execFile } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs, promisify } from "node:util";
import { inParallel } from "../../bench/parallel.js";
import { allCalls } from "../../lib/check/calls/all.js";
import type { Call } from "../../lib/check/calls/call.js";
import { checkKernels } from "../../lib/check/run.js";
import { Device } from "../../lib/device.js";
import { kernelsOfRanks, launchesByKernel } from "../simt/reports.js";

/** GPUs that the device stands for: attention takes other kernels without wgmma, and others again with less memory. */
const capabilities = ["9.0", "10.0", "8.6"] as const;
const blocks = ["first", "last"] as const;
/** Without its answer, attention takes the kernels that all GPUs have. */
const harmless = new Set(["has_wgmma_kernel"]);

interface Fault {
  readonly kernel: string;
  readonly block: (typeof blocks)[number];
}

interface Job {
  readonly capability: (typeof capabilities)[number];
  readonly faults: readonly Fault[];
}

/** `notice` is an operation that differs if a kernel loses a block, or a crash; null: the check sees nothing. */
interface Finding extends Fault {
  readonly notice: string | null;
}

const run = promisify(execFile);
const calls = allCalls("small");

/** The calls, those first whose operations' names begin as the kernel's does. */
function likelyFirst(kernel: string): Call[] {
  const plain = (name: string) => name.toLowerCase().replaceAll("_", "");
  const common = (name: string) => {
    const [a, b] = [plain(kernel), plain(name)];
    let length = 0;
    while (length < a.length && a[length] === b[length]) length++;
    return length;
  };
  return calls.toSorted((a, b) => common(b.operation) - common(a.operation));
}

/** Prints a `Finding` for each fault, with the simulated device that the environment asks for. */
async function find(faults: readonly Fault[]): Promise<void> {
  const [simt, cpu] = [new Device("simt", 0, 1), new Device("cpu", 0, 1)];
  const agrees = async (some: readonly Call[]) => (await checkKernels(simt, cpu, { calls: some })).agrees;
  if (faults.length === 0 && !(await agrees(calls))) throw new Error("the check fails without a fault");
  for (const { kernel, block } of faults) {
    // The device is idle here, and reads this at the next launch.
    process.env.NEXTPATCH_SIMT_LOST_BLOCK = block === "last" ? `${kernel}:last` : kernel;
    let notice: string | null = null;
    // One by one: the rest of the calls is not made once a kernel is noticed.
    for (const call of likelyFirst(kernel)) {
      if (notice === null && !(await agrees([call]))) notice = call.operation;
    }
    process.stdout.write(`${JSON.stringify({ kernel, block, notice } satisfies Finding)}\n`);
  }
}

/** Runs `find` in a process of its own, and in another one after a crash. */
async function findApart({ capability, faults }: Job, report = ""): Promise<Finding[]> {
  const env = { ...process.env, NEXTPATCH_SIMT_CAPABILITY: capability, NEXTPATCH_SIMT_REPORT: report };
  const args = [...process.execArgv, fileURLToPath(import.meta.url), "--faults", JSON.stringify(faults)];
  const crashed = (error: { signal: string | null; stdout: string }) => {
    if (error.signal !== "SIGSEGV") throw error;
    return error;
  };
  const { stdout, signal } = await run(process.execPath, args, { env }).then(
    (finished) => ({ ...finished, signal: null }),
    crashed,
  );
  const found = stdout.split("\n").flatMap((line) => (line === "" ? [] : [JSON.parse(line) as Finding]));
  if (signal === null) return found;
  const fatal: Finding = { ...faults[found.length]!, notice: "a crash" };
  const rest = faults.slice(found.length + 1);
  return [...found, fatal, ...(rest.length > 0 ? await findApart({ capability, faults: rest }) : [])];
}

/** The kernels of the library, with how often a check without faults launches each. */
async function launchesOn(capability: Job["capability"], scratch: string): Promise<ReadonlyMap<string, number>> {
  const report = join(scratch, capability);
  await findApart({ capability, faults: [] }, report);
  return launchesByKernel(readFileSync(report, "utf8"));
}

/** As many jobs as there is room for, each with a share of the faults. */
function jobsOf(capability: Job["capability"], kernels: readonly string[]): Job[] {
  const faults = kernels.flatMap((kernel) => blocks.map((block): Fault => ({ kernel, block })));
  const parts = Math.min(2 * availableParallelism(), faults.length);
  return Array.from({ length: parts }, (_, part) => ({
    capability,
    faults: faults.filter((_, i) => i % parts === part),
  }));
}

async function main(): Promise<boolean> {
  const start = performance.now();
  const scratch = mkdtempSync(join(tmpdir(), "nextpatch-lost-blocks-"));
  process.on("exit", () => rmSync(scratch, { recursive: true, force: true }));
  const launches = await inParallel(capabilities, (capability) => launchesOn(capability, scratch));
  const names = [...launches[0]!.keys()].filter((name) => !harmless.has(name) && !kernelsOfRanks.has(name));
  /** On which device a kernel is launched, the first of them; -1: on none. */
  const where = (name: string) => launches.findIndex((counts) => counts.get(name)! > 0);
  const never = names.filter((name) => where(name) === -1);
  const jobs = capabilities.flatMap((capability, i) =>
    jobsOf(
      capability,
      names.filter((name) => where(name) === i),
    ),
  );
  const found = (await inParallel(jobs, (job) => findApart(job))).flat();
  const missed = found.filter(({ notice }) => notice === null);
  for (const name of never) process.stdout.write(`never launched: ${name}\n`);
  for (const { kernel, block } of missed) process.stdout.write(`not noticed: ${kernel} without its ${block} block\n`);
  const seconds = Math.round((performance.now() - start) / 1000);
  const crashes = found.filter(({ notice }) => notice === "a crash").length;
  process.stdout.write(
    `${found.length - missed.length} of ${found.length} lost blocks noticed, ${crashes} by a crash, in ${seconds} s\n`,
  );
  return missed.length === 0 && never.length === 0;
}

const { faults } = parseArgs({ options: { faults: { type: "string" } } }).values;
if (faults === undefined) process.exitCode = (await main()) ? 0 : 1;
else await find(JSON.parse(faults) as Fault[]);
