import type { Device, PrecisionSpec } from "../../device.js";
import type { Device as NativeDevice } from "../../native.js";
import { type Ceilings, measureCeilings } from "../ceilings.js";
import type { ComputeDType, KernelCase } from "./case.js";
import { kernelCases } from "./cases.js";
import { benchShapes, rotatedSets } from "./shapes.js";
import { RandomTensors } from "./tensors.js";
import { median, type TimingOptions, timeCalls } from "./timing.js";

export interface KernelBenchOptions {
  readonly precision?: PrecisionSpec;
  /** Called after each, with the result so far. */
  readonly onKernel?: (done: number, of: number, name: string, result: KernelBenchResult) => void;
}

/** One operation at one shape. */
export interface KernelTiming {
  readonly name: string;
  readonly shape: Readonly<Record<string, number | string>>;
  /** Per call: the median of the batches' means. */
  readonly seconds: number;
  /** The least that has to be moved and computed: cost.ts. */
  readonly bytes: number;
  readonly flops: number;
  readonly bytesPerSecond: number;
  readonly flopsPerSecond: number;
  /**
   * The least time that the ceilings allow, as a fraction of the time taken. Above 1 if a cache serves what is counted
   * as memory traffic, or a kernel computes faster than the large product that the ceiling was measured with.
   */
  readonly fractionOfCeiling: number;
  /** Which of the two ceilings is the limit. */
  readonly bound: "memory" | "compute";
}

export interface KernelBenchResult {
  /** The device's name. */
  readonly device: string;
  readonly backend: string;
  readonly dtype: ComputeDType;
  readonly ceilings: Ceilings;
  readonly kernels: readonly KernelTiming[];
}

/** Times every operation of a training step and compares each with the device's measured ceilings. */
export async function benchKernels(device: Device, options: KernelBenchOptions = {}): Promise<KernelBenchResult> {
  const dtype = device.computeDType(options.precision ?? "auto");
  const shapes = benchShapes(device.backend);
  // Times under simt are meaningless: one batch of one call shows that everything runs.
  const timing: TimingOptions =
    device.backend === "simt" ? { batchSeconds: 0, batches: 1 } : { batchSeconds: 0.05, batches: 5 };
  const ceilings = await measureCeilings(device, dtype, timing);
  const cases = kernelCases(shapes, dtype);
  const kernels: KernelTiming[] = [];
  const result = { device: device.name, backend: device.backend, dtype, ceilings, kernels };
  for (const each of cases) {
    const seconds = await timeCase(device, each, shapes.rotatedBytes, timing);
    kernels.push({ name: each.name, shape: each.shape, seconds, ...rates(each, seconds, ceilings) });
    options.onKernel?.(kernels.length, cases.length, each.name, result);
  }
  return result;
}

/**
 * Seconds of a call.
 * @param rotatedBytes inputs smaller than this in total are rotated with other sets
 */
async function timeCase(
  device: NativeDevice,
  { prepare }: KernelCase,
  rotatedBytes: number,
  timing: TimingOptions,
): Promise<number> {
  const tensors = new RandomTensors(device);
  try {
    const sets = [prepare(tensors)];
    const count = rotatedSets(tensors.bytes, rotatedBytes);
    while (sets.length < count) sets.push(prepare(tensors));
    const calls = sets.map(({ call }) => call);
    const restores = sets.flatMap(({ restore }) => restore ?? []);
    if (restores.length === 0) return median(await timeCalls(device, calls, timing));
    const restored = median(await timeCalls(device, restores, timing));
    const both = 2 * median(await timeCalls(device, [...restores, ...calls], timing));
    return both - restored;
  } finally {
    tensors.dispose();
  }
}

function rates({ cost: { bytes, flops } }: KernelCase, seconds: number, ceilings: Ceilings) {
  const memoryTime = bytes / ceilings.bytesPerSecond;
  const computeTime = flops / ceilings.flopsPerSecond;
  return {
    bytes,
    flops,
    bytesPerSecond: bytes / seconds,
    flopsPerSecond: flops / seconds,
    fractionOfCeiling: Math.max(memoryTime, computeTime) / seconds,
    bound: memoryTime >= computeTime ? ("memory" as const) : ("compute" as const),
  };
}
