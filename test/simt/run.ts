/**
 * The tests of the kernels on the simt backend:
 *
 *     npm run test:simt          every test with threads and blocks in order; the operations' tests in reverse order too
 *     npm run test:schedules     every test in a seeded random order, the operations' tests in another too
 *                                (--schedules random:1,random:2), with arithmetic as loose as a GPU's
 *
 * The run fails if a result of the operations' tests changes by a bit from one order to another, if attention's bits
 * depend on whether a warpgroup's products make them or each warp's own, or if no test launched some kernel of the
 * library. As many processes run at a time as there are CPU cores.
 */
import { execFile } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { native } from "../../lib/native.js";
import { changedBits, changedByWarpgroups, launchesByKernel, neverLaunched } from "./reports.js";

const root = fileURLToPath(new URL("../..", import.meta.url));
const jest = [
  "--experimental-vm-modules",
  "--no-warnings",
  "node_modules/jest/bin/jest.js",
  "--runInBand",
  "--runTestsByPath",
];
const minutes = 60_000;

/** The operations' tests. */
const operations = testsIn("test/operations").filter((file) => !file.endsWith("/reference.test.ts"));
/** Tests of what uses them, those that take longest first. */
const uses = [
  "test/train/backends.test.ts",
  "test/compare/backends.test.ts",
  "test/train/stages.test.ts",
  ...["parity", "architectures", "decoder", "batch_decoder", "accumulation", "label_mask", "folder"].map(
    (name) => `test/nn/${name}.test.ts`,
  ),
  "test/api/kernels_entry.test.ts",
  "test/evaluate/score.test.ts",
  "test/bench/bench_kernels.test.ts",
  ...["process", "arguments", "device", "graph", "tensor"].map((name) => `test/binding/${name}.test.ts`),
];

/**
 * Orders of threads and blocks, of which all must give the first one's bits. `forward`, that of their numbers, and
 * `reverse` are for every commit: they swap every pair of threads, random orders only some of the pairs.
 */
const { schedules: wanted } = parseArgs({ options: { schedules: { type: "string" } } }).values;
const schedules = wanted === undefined ? ["forward", "reverse"] : wanted.split(",");
const [first, ...others] = schedules as [string, ...string[]];

/** GPUs whose limits the device has: attention has other kernels, or other tiles, on those that are smaller. */
const capabilities = ["9.0", "10.0", "8.6"] as const;
type Capability = (typeof capabilities)[number];
const attention = operations.filter((file) => file.includes("/attention_"));

interface Job {
  readonly name: string;
  readonly files: readonly string[];
  readonly schedule: string;
  readonly capability: Capability;
  /** Kernels run only when they are waited for. */
  readonly late?: boolean;
}

interface Outcome {
  readonly passed: boolean;
  readonly seconds: number;
  readonly output: string;
}

/** A process for each file: some count the device's memory, and must not see another file's tensors collected. */
const apart = (files: readonly string[], schedule: string): Job[] =>
  files.map((file) => {
    const name = schedule === "forward" ? file : `${file} under ${schedule}`;
    return { name, files: [file], schedule, capability: "9.0" };
  });
const together = (schedule: string): Job => {
  return { name: `operations under ${schedule}`, files: operations, schedule, capability: "9.0" };
};
const onSmaller = (schedule: string): Job[] => {
  // Their kernels differ from each other in tiles alone: for every commit they run in one order.
  if (wanted === undefined && schedule !== "forward") return [];
  return capabilities.slice(1).map((capability) => {
    return { name: `attention on ${capability} under ${schedule}`, files: attention, schedule, capability };
  });
};
/** With kernels that run late: of training, which takes longest, not for every commit. */
const late = (
  wanted === undefined ? ["test/binding/device.test.ts", "test/binding/graph.test.ts"] : ["test/train/backends.test.ts"]
).map(
  (file): Job => ({
    name: `${file} with late kernels`,
    files: [file],
    schedule: "forward",
    capability: "9.0",
    late: true,
  }),
);

/** The longest first. */
const jobs: readonly Job[] = [
  ...(wanted === undefined ? others : schedules).map(together),
  ...schedules.flatMap(onSmaller),
  ...late,
  ...apart(uses, first),
  ...(wanted === undefined ? apart(operations, first) : []),
];

function testsIn(folder: string): string[] {
  const names = readdirSync(join(root, folder)).filter((name) => name.endsWith(".test.ts"));
  return names.sort().map((name) => `${folder}/${name}`);
}

const reportOf = (scratch: string): string => join(scratch, "launches");
const bitsOf = (scratch: string, schedule: string, capability: Capability): string =>
  join(scratch, `bits-${capability}-${schedule.replace(":", "-")}`);

function run({ files, schedule, capability, late }: Job, scratch: string): Promise<Outcome> {
  const start = performance.now();
  const env = {
    ...process.env,
    NODE_OPTIONS: "",
    NEXTPATCH_TEST_BACKENDS: "simt",
    NEXTPATCH_TEST_BITS: operations.includes(files[0]!) ? bitsOf(scratch, schedule, capability) : "",
    NEXTPATCH_SIMT_SCHEDULE: schedule,
    NEXTPATCH_SIMT_CAPABILITY: capability,
    NEXTPATCH_SIMT_REPORT: reportOf(scratch),
    ...(late ? { NEXTPATCH_SIMT_LATE: "1" } : {}),
  };
  return new Promise((resolve) => {
    const options = { cwd: root, env, maxBuffer: 2 ** 26, timeout: 10 * minutes };
    execFile(process.execPath, [...jest, ...files], options, (error, stdout, stderr) => {
      const ended = error?.killed ? "stopped after 10 minutes\n" : error?.signal ? `ended by ${error.signal}\n` : "";
      const seconds = (performance.now() - start) / 1000;
      resolve({ passed: error === null, seconds, output: stdout + stderr + ended });
    });
  });
}

/** Runs all jobs; returns the names of those that failed. */
async function runAll(scratch: string): Promise<string[]> {
  const queue = [...jobs];
  const failed: string[] = [];
  const worker = async (): Promise<void> => {
    for (let job = queue.shift(); job; job = queue.shift()) {
      const { passed, seconds, output } = await run(job, scratch);
      print(`${passed ? "ok  " : "FAIL"} ${seconds.toFixed(1).padStart(6)} s  ${job.name}`);
      if (passed) continue;
      failed.push(job.name);
      print(output);
    }
  };
  await Promise.all(Array.from({ length: availableParallelism() }, worker));
  return failed;
}

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}

/** Prints every kernel's launches; returns what is wrong. */
function judge(scratch: string): string[] {
  const launches = launchesByKernel(readFileSync(reportOf(scratch), "utf8"));
  const width = Math.max(...[...launches.keys()].map((name) => name.length));
  print(`\n${"kernel".padEnd(width)}  launches`);
  for (const [name, count] of launches) print(`${name.padEnd(width)}  ${String(count).padStart(8)}`);
  const problems = neverLaunched(launches).map((name) => `no test launched ${name}`);
  for (const capability of capabilities) {
    const bits = (schedule: string): string => readFileSync(bitsOf(scratch, schedule, capability), "utf8");
    const compared = others.filter((schedule) =>
      jobs.some(
        (job) => job.capability === capability && job.schedule === schedule && operations.includes(job.files[0]!),
      ),
    );
    for (const schedule of compared) {
      const changed = changedBits(bits(first), bits(schedule));
      problems.push(
        ...changed.map((test) => `the bits change with the schedule ${schedule} on ${capability}: ${test}`),
      );
    }
  }
  const [warpgroups, warps] = (["9.0", "10.0"] as const).map((on) => readFileSync(bitsOf(scratch, first, on), "utf8"));
  const { compared, changed } = changedByWarpgroups(warpgroups!, warps!);
  if (compared === 0) problems.push("no test of attention has bits on 9.0 and on 10.0");
  problems.push(...changed.map((test) => `the bits change with a warpgroup's products: ${test}`));
  return problems;
}

async function main(): Promise<number> {
  const report = native.backends().find(({ name }) => name === "simt")!;
  if (!report.available) {
    print(`simt: not tested: ${report.problem}`);
    return 1;
  }
  const start = performance.now();
  const scratch = mkdtempSync(join(tmpdir(), "nextpatch-simt-"));
  try {
    const failed = await runAll(scratch);
    const problems = [...judge(scratch), ...failed.map((name) => `failed: ${name}`)];
    for (const problem of problems) print(problem);
    const seconds = Math.round((performance.now() - start) / 1000);
    print(
      problems.length > 0
        ? `\nsimt: FAILED after ${seconds} s: ${problems.length} of the above`
        : `\nsimt: passed in ${seconds} s: every kernel was launched; same bits under ${schedules.join(", ")}`,
    );
    return problems.length > 0 ? 1 : 0;
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

process.exitCode = await main();
