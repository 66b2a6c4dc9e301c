import { bytesOf } from "../device.js";
import { type Device, native, type Tensor } from "../native.js";
import { RandomTensors } from "./kernels/tensors.js";
import { type TimingOptions, timeCalls } from "./kernels/timing.js";

/** What this device reaches, measured now: the best batch of each. */
export interface Ceilings {
  /** A large copy on the device; bytes read and bytes written both count. */
  readonly bytesPerSecond: number;
  /** A large square product in the compute dtype. */
  readonly flopsPerSecond: number;
}

/** Bytes copied, more than any cache holds, and rows of the square product. `simt` is a simulator: speed is moot. */
const sizes = {
  cuda: { bytes: 2 ** 30, rows: 8192 },
  cpu: { bytes: 2 ** 28, rows: 1024 },
  simt: { bytes: 2 ** 14, rows: 32 },
} as const;

/** Measures the two ceilings that kernels are compared with. */
export async function measureCeilings(device: Device, dtype: "f32" | "bf16", timing: TimingOptions): Promise<Ceilings> {
  const { bytes, rows } = sizes[device.backend];
  const tensors = new RandomTensors(device);
  try {
    const source = tensors.normal("f32", [bytes / bytesOf("f32")]);
    const target = tensors.empty("f32", source.shape);
    const copy = await timeCalls(device, [() => native.copy(target, source)], timing);
    tensors.dispose();

    const a = tensors.normal(dtype, [rows, rows]);
    const b = tensors.normal(dtype, [rows, rows]);
    const c: Tensor = tensors.empty(dtype, [rows, rows]);
    const product = await timeCalls(device, [() => native.matmul(c, a, b, false, true, false)], timing);
    return { bytesPerSecond: (2 * bytes) / Math.min(...copy), flopsPerSecond: (2 * rows ** 3) / Math.min(...product) };
  } finally {
    tensors.dispose();
  }
}
