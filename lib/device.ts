import { ConfigError, DeviceError } from "./errors.js";
import type { BackendName, BackendReport, DType } from "./native.js";
import { native } from "./native.js";

/** What a config's `device` may say. */
export type DeviceSpec = "auto" | "cpu" | "cuda" | `cuda:${number}` | "simt";
/** What a config's `precision` may say. */
export type PrecisionSpec = "auto" | "bf16" | "fp32";

/** An opened device with its in-order queue of operations. */
export class Device extends native.Device {
  /**
   * Opens a device. `auto` takes the first GPU, or the CPU where there is none; every other value fails where it
   * cannot be had.
   * @param options.threads host threads that compute on `cpu`; 0: `OMP_NUM_THREADS`, else all available cores
   * @throws ConfigError for a value that names no device, DeviceError where the device is missing
   */
  static open(spec: DeviceSpec = "auto", options: { threads?: number } = {}): Device {
    const { backend, index } = parse(spec);
    return new Device(backend, index, options.threads ?? threadsFromEnvironment());
  }

  /** The dtype of weights, activations and products for a precision on this device. */
  computeDType(precision: PrecisionSpec = "auto"): "f32" | "bf16" {
    if (precision === "auto") return this.nativeBf16 ? "bf16" : "f32";
    return precision === "bf16" ? "bf16" : "f32";
  }
}

/** The backends of this build, their devices and versions, and why a backend is missing. */
export function backends(): BackendReport[] {
  return native.backends();
}

/** Elements of this dtype in bytes. */
export function bytesOf(dtype: DType): number {
  return dtype === "bf16" ? 2 : 4;
}

function parse(spec: string): { backend: BackendName; index: number } {
  if (spec === "cpu" || spec === "simt") return { backend: spec, index: 0 };
  const cuda = /^cuda(?::(\d+))?$/.exec(spec);
  if (cuda) return { backend: "cuda", index: Number(cuda[1] ?? 0) };
  if (spec !== "auto") {
    throw new ConfigError(`device: expected auto, cpu, cuda, cuda:N or simt but received ${JSON.stringify(spec)}`);
  }
  const available = new Set(
    native
      .backends()
      .filter((b) => b.available)
      .map((b) => b.name),
  );
  for (const backend of ["cuda", "cpu"] as const) if (available.has(backend)) return { backend, index: 0 };
  const problems = native.backends().map((b) => `${b.name}: ${b.problem}`);
  throw new DeviceError(`no device to compute on. ${problems.join("; ")}`);
}

function threadsFromEnvironment(): number {
  const threads = Number(process.env.OMP_NUM_THREADS ?? 0);
  return Number.isInteger(threads) && threads > 0 ? threads : 0;
}
