/** What the steps have printed. Each function also reads the beginning of an output, of a step that still runs. */
import type { KernelBenchResult, KernelTiming } from "../../../lib/bench/kernels/run.js";

/** The lines that are there as a whole and hold a JSON object; whatever else a program prints is left out. */
export function jsonLines<T>(stdout: string): T[] {
  return stdout
    .split("\n")
    .slice(0, -1)
    .filter((line) => line.startsWith("{"))
    .map((line) => JSON.parse(line) as T);
}

/** The last of them. */
export function lastJson(stdout: string): object | null {
  return jsonLines<object>(stdout).at(-1) ?? null;
}

/** Of kernels.ts: first all but the kernels, then a line for each. */
export function readKernels(stdout: string): KernelBenchResult | null {
  const [first, ...kernels] = jsonLines<object>(stdout);
  return first === undefined
    ? null
    : { ...(first as Omit<KernelBenchResult, "kernels">), kernels: kernels as KernelTiming[] };
}

/** A line of jest_reporter.mjs: one file of tests. */
export interface TestFile {
  readonly file: string;
  readonly passed: number;
  readonly skipped: number;
  readonly failures: readonly TestFailure[];
}

export interface TestFailure {
  readonly name: string;
  /** Its beginning. */
  readonly message: string;
}

export interface TestCounts {
  readonly files: number;
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
  readonly failures: readonly TestFailure[];
}

const keptFailures = 20;

export function readTests(stdout: string): TestCounts | null {
  const files = jsonLines<TestFile>(stdout);
  if (files.length === 0) return null;
  const failures = files.flatMap((file) => file.failures);
  const sum = (count: (file: TestFile) => number) => files.reduce((total, file) => total + count(file), 0);
  return {
    files: files.length,
    passed: sum(({ passed }) => passed),
    failed: failures.length,
    skipped: sum(({ skipped }) => skipped),
    failures: failures.slice(0, keptFailures),
  };
}

/** As nvidia-smi names them. */
export const gpuKeys = [
  "name",
  "compute_cap",
  "driver_version",
  "memory.total",
  "power.limit",
  "clocks.max.sm",
  "clocks.max.mem",
] as const;
export type GpuFacts = Readonly<Record<(typeof gpuKeys)[number], string>>;

/** Of nvidia-smi's `csv,noheader`. */
export function readGpu(stdout: string): GpuFacts | null {
  const values = stdout.trim().split(",");
  if (values.length !== gpuKeys.length) return null;
  return Object.fromEntries(gpuKeys.map((key, index) => [key, values[index]!.trim()])) as GpuFacts;
}

/** A kernel's row of `nsys stats`. */
export interface NsysRow {
  readonly kernel: string;
  readonly calls: number;
  readonly seconds: number;
}

/** The array that `nsys stats --format json` prints, whatever it prints before. */
export function readNsys(stdout: string): NsysRow[] | null {
  const start = stdout.search(/^\[/m);
  if (start < 0) return null;
  const rows = JSON.parse(stdout.slice(start, stdout.lastIndexOf("]") + 1)) as Record<string, string | number>[];
  return rows.map((row) => ({
    kernel: String(row.Name),
    calls: Number(row.Instances),
    seconds: Number(row["Total Time (ns)"]) / 1e9,
  }));
}
