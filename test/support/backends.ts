import { Device } from "../../lib/device.js";
import { type BackendName, native } from "../../lib/native.js";

/** The dtypes every operation computes in. */
export type ComputeDType = "f32" | "bf16";
const dtypes: readonly ComputeDType[] = ["f32", "bf16"];

/**
 * The backends under test: every one that is available here but simt, whose tests `npm run test:simt` chooses, or those
 * that NEXTPATCH_TEST_BACKENDS lists (`cpu,simt`), which must then be available.
 */
export const backends: readonly BackendName[] = choose(process.env.NEXTPATCH_TEST_BACKENDS);

/** Every backend with every compute dtype, for `describe.each(grid)("$backend $dtype", …)`. */
export const grid = backends.flatMap((backend) => dtypes.map((dtype) => ({ backend, dtype })));

/**
 * `all`, or the `few` that reach every branch: for the simulated device, which is hundreds of times slower, and where
 * NEXTPATCH_TEST_CASES=few asks for them, as under a sanitizer.
 */
export function cases<T>(backend: BackendName, all: readonly T[], few: readonly T[]): readonly T[] {
  return backend === "simt" || process.env.NEXTPATCH_TEST_CASES === "few" ? few : all;
}

const opened = new Map<string, Device>();

/** The device of a backend, opened once a file. `threads` is fixed: results are compared bit by bit. */
export function open(backend: BackendName, threads = 2): Device {
  const key = `${backend}:${threads}`;
  const device = opened.get(key) ?? new Device(backend, 0, threads);
  opened.set(key, device);
  return device;
}

function choose(wanted: string | undefined): BackendName[] {
  const reports = native.backends();
  if (!wanted) return reports.filter(({ name, available }) => available && name !== "simt").map(({ name }) => name);
  return wanted.split(",").map((name) => {
    const report = reports.find((candidate) => candidate.name === name.trim());
    if (report?.available) return report.name;
    throw new Error(`NEXTPATCH_TEST_BACKENDS: ${name} is not available: ${report?.problem ?? "no such backend"}`);
  });
}
