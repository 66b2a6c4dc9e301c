/** Every operation of a device against the CPU's. */
import { shapeText } from "../bench/kernels/table.js";
import type { Device } from "../native.js";
import { allCalls } from "./calls/all.js";
import type { Call, Operation, Size } from "./calls/call.js";
import { type Alignment, CallMemory, type Poison, type Result, Script, sameBits } from "./memory.js";
import { compare } from "./tolerance.js";

export interface CheckOptions {
  /** Default: small on the simulated device. */
  readonly size?: Size;
  /** Default: all. */
  readonly calls?: readonly Call[];
  readonly onOperation?: (done: number, of: number, name: string) => void;
}

/** How an operation of a device compares with the CPU's. */
export interface OperationCheck {
  /** As binding.d.ts names it. */
  readonly name: Operation;
  readonly agrees: boolean;
  /** Calls that were compared, and how many of them differ or failed. */
  readonly calls: number;
  readonly failed: number;
  /** The largest difference as a share of what rounding explains; null if a result is no number, or none was read. */
  readonly worst: number | null;
  /** The worst call and what is wrong with it; null if the operation agrees. */
  readonly problem: { readonly call: string; readonly message: string } | null;
}

export interface DeviceCheck {
  /** As the option `--device` names it. */
  readonly device: string;
  /** The device's name. */
  readonly name: string;
  /** Whether every operation agrees. */
  readonly agrees: boolean;
  readonly seconds: number;
  readonly operations: readonly OperationCheck[];
}

/** What came of one call: 0 if the results are equal, above 1 if they differ. */
interface Outcome {
  readonly share: number;
  readonly message: string;
}

const alignments: readonly Alignment[] = ["aligned", "misaligned"];

/** Makes every call on the device and on `cpu`, with the same inputs, and compares the results. */
export async function checkDevice(device: Device, cpu: Device, options: CheckOptions = {}): Promise<DeviceCheck> {
  const start = performance.now();
  const calls = options.calls ?? allCalls(options.size ?? (device.backend === "simt" ? "small" : "full"));
  const names = [...new Set(calls.map(({ operation }) => operation))];
  const operations: OperationCheck[] = [];
  let dead: string | null = null;
  for (const name of names) {
    options.onOperation?.(operations.length, names.length, name);
    const own = calls.filter(({ operation }) => operation === name);
    operations.push(dead === null ? await checkOperation(name, own, device, cpu) : notChecked(name, dead));
    dead ??= await failure(device);
  }
  options.onOperation?.(names.length, names.length, "");
  return {
    device: device.backend === "cuda" ? `cuda:${device.index}` : device.backend,
    name: device.name,
    agrees: operations.every(({ agrees }) => agrees),
    seconds: (performance.now() - start) / 1000,
    operations,
  };
}

async function checkOperation(
  name: Operation,
  calls: readonly Call[],
  device: Device,
  cpu: Device,
): Promise<OperationCheck> {
  let worst = 0;
  let failed = 0;
  let problem: OperationCheck["problem"] = null;
  for (const call of calls) {
    for (const alignment of alignments) {
      const { share, message } = await outcomeOf(call, alignment, device, cpu);
      if (share > 1) failed++;
      if (share > Math.max(1, worst)) problem = { call: describe(call, alignment), message };
      worst = Math.max(worst, share);
      if (share > 1 && (await failure(device)) !== null) {
        return { name, agrees: false, calls: calls.length * alignments.length, failed, worst: null, problem };
      }
    }
  }
  const finite = Number.isFinite(worst) ? worst : null;
  return { name, agrees: problem === null, calls: calls.length * alignments.length, failed, worst: finite, problem };
}

async function outcomeOf(call: Call, alignment: Alignment, device: Device, cpu: Device): Promise<Outcome> {
  const script = new Script();
  const run = (on: Device, poison: Poison) => resultsOf(call, new CallMemory(on, script, alignment, poison));
  try {
    const expected = await run(cpu, "nan");
    const got = await run(device, "nan");
    const again = await run(device, "huge");
    for (const [i, { name, data }] of got.entries()) {
      // A race, or a read of memory that nothing was written to.
      if (!sameBits(data, again[i]!.data)) return { share: Infinity, message: `${name} differs from run to run` };
    }
    const outcomes = got.map(({ name, data, dtype, shape, tolerance }, i) => {
      const { share, text } = compare(data, expected[i]!.data, dtype, shape, tolerance);
      return { share, message: `${name}: ${text}` };
    });
    return outcomes.reduce((worst, one) => (one.share > worst.share ? one : worst));
  } catch (error) {
    return { share: Infinity, message: (error as Error).message };
  }
}

async function resultsOf(call: Call, memory: CallMemory): Promise<Result[]> {
  try {
    await call.run(memory);
    return await memory.results();
  } finally {
    memory.dispose();
  }
}

/** Why a device does nothing more, as after an error that CUDA cannot recover from; null if it works. */
async function failure(device: Device): Promise<string | null> {
  try {
    await device.synchronize();
    return null;
  } catch (error) {
    return (error as Error).message;
  }
}

function notChecked(name: Operation, why: string): OperationCheck {
  return {
    name,
    agrees: false,
    calls: 0,
    failed: 0,
    worst: null,
    problem: { call: "", message: `not checked: ${why}` },
  };
}

/** `bf16 N=31 C=33, misaligned` */
function describe({ dtype, shape }: Call, alignment: Alignment): string {
  return `${dtype} ${shapeText(shape)}${alignment === "misaligned" ? ", misaligned" : ""}`;
}
