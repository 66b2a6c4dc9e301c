/**
 * Whether `info --check` notices that a kernel has left out one of its blocks:
 *
 *     npm run test:lost-blocks
 *
 * Every kernel that the check launches on `simt` loses its first block, and then its last, in all its launches. The run
 * fails if no operation differs from the CPU's then, or if a kernel of the library is never launched. As many processes
 * run at a time as there are CPU cores.
 */
import { execFile } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs, promisify } from "node:util";
import { inParallel } from "../../bench/parallel.js";
import { allCalls } from "../../lib/check/calls/all.js";
import type { Operation } from "../../lib/check/calls/call.js";
import { checkKernels } from "../../lib/check/run.js";
import { Device } from "../../lib/device.js";
import { launchesByKernel } from "../simt/reports.js";

/** GPUs whose limits the device has: attention takes other tiles on those with less shared memory. */
const capabilities = ["9.0", "8.6"] as const;
const blocks = ["first", "last"] as const;

interface Job {
  readonly capability: (typeof capabilities)[number];
  readonly kernels: readonly string[];
}

/** `notice` is an operation that differs if a kernel loses a block; null: the check sees nothing. */
interface Finding {
  readonly kernel: string;
  readonly block: (typeof blocks)[number];
  readonly notice: string | null;
}

const calls = allCalls("small");
const operations = [...new Set(calls.map(({ operation }) => operation))];

/** The operations, those first whose names begin as the kernel's does. */
function likelyFirst(kernel: string): Operation[] {
  const plain = (name: string) => name.toLowerCase().replaceAll("_", "");
  const common = (name: string) => {
    const [a, b] = [plain(kernel), plain(name)];
    let length = 0;
    while (length < a.length && a[length] === b[length]) length++;
    return length;
  };
  return operations.toSorted((a, b) => common(b) - common(a));
}

/** What this process finds, with the simulated device that its environment asks for. */
async function find(kernels: readonly string[]): Promise<Finding[]> {
  const [simt, cpu] = [new Device("simt", 0, 1), new Device("cpu", 0, 1)];
  const differs = async (operation?: Operation) => {
    const own = calls.filter((call) => operation === undefined || call.operation === operation);
    return !(await checkKernels(simt, cpu, { calls: own })).agrees;
  };
  if (kernels.length === 0 && (await differs())) throw new Error("the check fails without a fault");
  const found: Finding[] = [];
  for (const kernel of kernels) {
    for (const block of blocks) {
      // The device is idle here, and reads this at the next launch.
      process.env.NEXTPATCH_SIMT_LOST_BLOCK = block === "last" ? `${kernel}:last` : kernel;
      let notice: string | null = null;
      for (const operation of likelyFirst(kernel)) {
        if (notice === null && (await differs(operation))) notice = operation;
      }
      found.push({ kernel, block, notice });
    }
  }
  return found;
}

/** Runs `find` in a process of its own. */
async function findApart({ capability, kernels }: Job, report = ""): Promise<Finding[]> {
  const env = { ...process.env, NEXTPATCH_SIMT_CAPABILITY: capability, NEXTPATCH_SIMT_REPORT: report };
  const script = fileURLToPath(import.meta.url);
  const args = [...process.execArgv, script, "--kernels", JSON.stringify(kernels)];
  const { stdout } = await promisify(execFile)(process.execPath, args, { env, maxBuffer: 2 ** 24 });
  return JSON.parse(stdout) as Finding[];
}

/** The kernels that a check without faults launches, and those that it does not. */
async function kernelsOn(capability: Job["capability"], scratch: string) {
  const report = join(scratch, capability);
  await findApart({ capability, kernels: [] }, report);
  const all = [...launchesByKernel(readFileSync(report, "utf8"))];
  const named = (launched: boolean) => all.flatMap(([name, count]) => (count > 0 === launched ? [name] : []));
  return { launched: named(true), left: named(false) };
}

async function main(): Promise<boolean> {
  const start = performance.now();
  const scratch = mkdtempSync(join(tmpdir(), "nextpatch-lost-blocks-"));
  process.on("exit", () => rmSync(scratch, { recursive: true, force: true }));
  const [large, small] = await inParallel(capabilities, (capability) => kernelsOn(capability, scratch));
  const onlySmall = small!.launched.filter((name) => large!.left.includes(name));
  const never = small!.left.filter((name) => large!.left.includes(name));
  const share = (kernels: readonly string[], part: number, of: number) => kernels.filter((_, i) => i % of === part);
  const parts = 2 * availableParallelism();
  const jobs: Job[] = [
    ...Array.from({ length: parts }, (_, i): Job => ({ capability: "9.0", kernels: share(large!.launched, i, parts) })),
    { capability: "8.6", kernels: onlySmall },
  ];
  const found = (await inParallel(jobs, (job) => findApart(job))).flat();
  const missed = found.filter(({ notice }) => notice === null);
  for (const name of never) process.stdout.write(`never launched: ${name}\n`);
  for (const { kernel, block } of missed) process.stdout.write(`not noticed: ${kernel} without its ${block} block\n`);
  const seconds = Math.round((performance.now() - start) / 1000);
  process.stdout.write(`${found.length - missed.length} of ${found.length} lost blocks noticed in ${seconds} s\n`);
  return missed.length === 0 && never.length === 0;
}

const { kernels } = parseArgs({ options: { kernels: { type: "string" } } }).values;
if (kernels === undefined) process.exitCode = (await main()) ? 0 : 1;
else process.stdout.write(JSON.stringify(await find(JSON.parse(kernels) as string[])));
