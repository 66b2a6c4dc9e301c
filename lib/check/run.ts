/** Every operation of a device against the CPU's: each call twice on the device, from aligned and unaligned memory. */
import { shapeText } from "../bench/kernels/table.js";
import type { Device } from "../native.js";
import { allCalls } from "./calls/all.js";
import type { Call, Operation, Size } from "./calls/call.js";
import { type Alignment, CallMemory, type Poison, type Result, Script, StrayWrite, sameBits } from "./memory.js";
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
  /** `fails`: a call has thrown an error; `not checked`: the device had failed before, and computes nothing more. */
  readonly outcome: "agrees" | "differs" | "fails" | "not checked";
  /** Calls that were made, and how many of them differ or failed. */
  readonly calls: number;
  readonly wrongCalls: number;
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

/** What came of one call. */
interface Outcome {
  /** 0 if the results are equal, above 1 if they differ. */
  readonly share: number;
  readonly message: string;
  /** Whether it threw an error. */
  readonly failed?: boolean;
}

const alignments: readonly Alignment[] = ["aligned", "misaligned"];

/** Makes every call on the device and on `cpu`, with the same inputs, and compares the results. */
export async function checkKernels(device: Device, cpu: Device, options: CheckOptions = {}): Promise<DeviceCheck> {
  const start = performance.now();
  const calls = options.calls ?? allCalls(options.size ?? (device.backend === "simt" ? "small" : "full"));
  const names = [...new Set(calls.map(({ operation }) => operation))];
  const operations: OperationCheck[] = [];
  let dead = false;
  for (const name of names) {
    options.onOperation?.(operations.length, names.length, name);
    const own = calls.filter(({ operation }) => operation === name);
    operations.push(dead ? notChecked(name) : await checkOperation(name, own, device, cpu));
    dead ||= await isDead(device);
  }
  options.onOperation?.(names.length, names.length, "");
  return {
    device: device.backend === "cuda" ? `cuda:${device.index}` : device.backend,
    name: device.name,
    agrees: operations.every(({ outcome }) => outcome === "agrees"),
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
  let made = 0;
  let wrongCalls = 0;
  let worst: Outcome = { share: 0, message: "" };
  let problem: OperationCheck["problem"] = null;
  for (const [call, alignment] of calls.flatMap((one) => alignments.map((each) => [one, each] as const))) {
    const outcome = await outcomeOf(call, alignment, device, cpu);
    made++;
    const wrong = outcome.share > 1;
    if (wrong) wrongCalls++;
    if (outcome.share > worst.share) {
      worst = outcome;
      if (wrong) problem = { call: describe(call, alignment), message: outcome.message };
    }
    if (wrong && (await isDead(device))) break;
  }
  const outcome = problem === null ? "agrees" : worst.failed ? "fails" : "differs";
  return {
    name,
    outcome,
    calls: made,
    wrongCalls,
    worst: Number.isFinite(worst.share) ? worst.share : null,
    problem,
  };
}

async function outcomeOf(call: Call, alignment: Alignment, device: Device, cpu: Device): Promise<Outcome> {
  const script = new Script();
  const run = (on: Device, poison: Poison) => resultsOf(call, new CallMemory(on, script, alignment, poison));
  const expected = await run(cpu, "nan");
  try {
    const got = await run(device, "nan");
    const again = await run(device, "huge");
    return got.map((result, i) => compared(result, expected[i]!, again[i]!)).reduce(worse);
  } catch (error) {
    return { share: Infinity, message: (error as Error).message, failed: !(error instanceof StrayWrite) };
  }
}

/** A result of the device with the CPU's, and with that of a second run. */
function compared({ name, data, dtype, shape, tolerance }: Result, expected: Result, again: Result): Outcome {
  const { share, text } = compare(data, expected.data, dtype, shape, tolerance);
  if (sameBits(data, again.data)) return { share, message: `${name}: ${text}` };
  // A race, or a read of memory that nothing was written to.
  const changes = "differs from run to run";
  return { share: Infinity, message: share > 1 ? `${name}: ${text}, and it ${changes}` : `${name} ${changes}` };
}

const worse = (a: Outcome, b: Outcome): Outcome => (b.share > a.share ? b : a);

async function resultsOf(call: Call, memory: CallMemory): Promise<Result[]> {
  try {
    await call.run(memory);
    return await memory.results();
  } finally {
    memory.dispose();
  }
}

/** Whether a device computes nothing more, as after an error that CUDA cannot recover from. */
async function isDead(device: Device): Promise<boolean> {
  try {
    await device.synchronize();
    return false;
  } catch {
    return true;
  }
}

function notChecked(name: Operation): OperationCheck {
  const problem = { call: "", message: "the device had failed before" };
  return { name, outcome: "not checked", calls: 0, wrongCalls: 0, worst: null, problem };
}

/** `bf16 N=31 C=33, misaligned` */
function describe({ dtype, shape }: Call, alignment: Alignment): string {
  return `${dtype} ${shapeText(shape)}${alignment === "misaligned" ? ", misaligned" : ""}`;
}
