/** The time of every algorithm that the library suggests for a product. */
import { DeviceError } from "../../errors.js";
import { type Device, type Graph, native, type SeenProduct, type Tensor } from "../../native.js";
import { RandomTensors } from "../kernels/tensors.js";
import { median } from "../kernels/timing.js";

/** An algorithm of a product. */
export interface Candidate {
  /** 64 bytes. */
  readonly algorithm: Uint8Array;
  /** Of a call; null if it does not run, or gives other bits every time. */
  readonly seconds: number | null;
}

/** How long and how often to time. */
export interface CandidateTiming {
  /** The least seconds of a recorded sequence of calls. */
  readonly seconds: number;
  /** How often each is launched: the result is the median. */
  readonly rounds: number;
}

/** The most calls in one recorded sequence. */
const mostCalls = 256;
/** Elements of the result that are compared from one call to the next. */
const comparedElements = 2 ** 16;
const comparedCalls = 3;

/** A recorded sequence of `calls` calls between two timestamps. */
interface Recording {
  readonly graph: Graph;
  readonly calls: number;
  /** The part of the product's calls that are like these: those that write, or those that add. */
  readonly share: number;
  readonly times: number[];
}

/**
 * Times the algorithms, each on the same random operands: warm, recorded in a graph so that no launch is late, by the
 * device's own clock. The algorithms take turns, so that a change of clocks meets all of them. Replaces the device's
 * product table.
 * @param product as `device.products()` returned it
 * @returns the candidates in the library's order
 */
export async function timeCandidates(
  device: Device,
  product: SeenProduct,
  timing: CandidateTiming,
): Promise<Candidate[]> {
  const tensors = new RandomTensors(device);
  const recorded = new Map<Uint8Array, Recording[]>();
  try {
    const operands = prepare(tensors, product);
    const algorithms = await device.productAlgorithms(product);
    for (const algorithm of algorithms) {
      if (!(await runsSteadily(device, product, algorithm, operands))) continue;
      recorded.set(algorithm, await record(device, product, operands, timing.seconds));
    }
    const all = [...recorded.values()].flat();
    for (let round = 0; round < timing.rounds && all.length > 0; round++) await launch(device, all);
    return algorithms.map((algorithm) => {
      const recordings = recorded.get(algorithm);
      if (recordings === undefined) return { algorithm, seconds: null };
      return { algorithm, seconds: recordings.reduce((sum, { share, times }) => sum + share * median(times), 0) };
    });
  } finally {
    for (const { graph } of [...recorded.values()].flat()) graph.dispose();
    tensors.dispose();
  }
}

interface Operands {
  readonly c: Tensor<"f32" | "bf16">;
  readonly call: (accumulate: boolean) => void;
}

function prepare(tensors: RandomTensors, product: SeenProduct): Operands {
  const { m, n, k, transposeA, transposeB, inputs, output, alignment } = product;
  const a = aligned(tensors, inputs, transposeA ? [k, m] : [m, k], alignment[0]);
  const b = aligned(tensors, inputs, transposeB ? [n, k] : [k, n], alignment[1]);
  const c = aligned(tensors, output, [m, n], alignment[2]);
  return { c, call: (accumulate) => native.matmul(c, a, b, transposeA, transposeB, accumulate) };
}

/** Random numbers at an address that `alignment` divides, and twice that does not, unless it is the largest. */
function aligned(
  tensors: RandomTensors,
  dtype: "f32" | "bf16",
  shape: readonly [number, number],
  alignment: number,
): Tensor<"f32" | "bf16"> {
  const offset = alignment >= 256 ? 0 : alignment / (dtype === "bf16" ? 2 : 4);
  const size = shape[0] * shape[1];
  const flat = tensors.view(tensors.normal(dtype, [offset + size]).narrow(0, offset, size));
  return tensors.view(flat.reshape(shape));
}

/** Makes the device compute the product by this algorithm. Returns whether it runs, to the same bits every time. */
async function runsSteadily(
  device: Device,
  product: SeenProduct,
  algorithm: Uint8Array,
  { c, call }: Operands,
): Promise<boolean> {
  using part = c.narrow(0, 0, Math.min(product.m, Math.ceil(comparedElements / product.n)));
  let first: Buffer | null = null;
  try {
    await device.useProductTable([{ ...product, algorithm }]);
    for (let time = 0; time < comparedCalls; time++) {
      call(false);
      const { buffer, byteOffset, byteLength } = await part.readBits();
      const bits = Buffer.from(buffer, byteOffset, byteLength);
      if (first !== null && !bits.equals(first)) return false;
      first ??= bits;
    }
  } catch (error) {
    // Refused, or not started. A device that is lost says so here.
    if (!(error instanceof RangeError || error instanceof DeviceError)) throw error;
    await device.synchronize();
    return false;
  }
  const seen = await device.products();
  if (seen.length === 1 && seen[0]!.inTable) return true;
  throw new Error(`expected one product, ${nameOf(product)}, but the device computed ${seen.map(nameOf).join(", ")}`);
}

/** Records calls as the product is called: those that write its result, and those that add to it. */
async function record(
  device: Device,
  { writes, adds }: SeenProduct,
  { call }: Operands,
  seconds: number,
): Promise<Recording[]> {
  const recordings: Recording[] = [];
  for (const [accumulate, count] of [
    [false, writes],
    [true, adds],
  ] as const) {
    if (count === 0) continue;
    device.mark(0);
    call(accumulate);
    device.mark(1);
    const once = (await device.marks(2))[1]!;
    const calls = Math.min(mostCalls, Math.max(1, Math.ceil(seconds / once)));
    device.beginCapture();
    for (let index = 0; index < calls; index++) call(accumulate);
    recordings.push({ graph: device.endCapture(), calls, share: count / (writes + adds), times: [] });
  }
  return recordings;
}

/** Launches every recording once, and keeps a call's time of each. */
async function launch(device: Device, recordings: readonly Recording[]): Promise<void> {
  device.mark(0);
  recordings.forEach(({ graph }, index) => {
    graph.launch();
    device.mark(index + 1);
  });
  const marks = await device.marks(recordings.length + 1);
  recordings.forEach(({ calls, times }, index) => times.push((marks[index + 1]! - marks[index]!) / calls));
}

/** `TN [1024, 5504] over 32768, bf16 to f32`: whether a and b are transposed, c's shape, the terms of a sum. */
export function nameOf(
  product: Pick<SeenProduct, "m" | "n" | "k" | "transposeA" | "transposeB" | "inputs" | "output">,
) {
  const { m, n, k, transposeA, transposeB, inputs, output } = product;
  return `${transposeA ? "T" : "N"}${transposeB ? "T" : "N"} [${m}, ${n}] over ${k}, ${inputs} to ${output}`;
}
