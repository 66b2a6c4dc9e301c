import { inspect } from "node:util";
import { Arguments, describe } from "./arguments.js";
import { type DeviceSpec, deviceNamesInWords, type PrecisionSpec, precisionNames } from "./device_names.js";
import { DeviceError } from "./errors.js";
import { limits } from "./limits.js";
import type { BackendName, BackendReport, DType } from "./native.js";
import { NativeDevice, native } from "./native.js";

export type { DeviceSpec, PrecisionSpec } from "./device_names.js";

/**
 * An opened device with its in-order queue of operations.
 *
 * @example
 * ```ts
 * import { Device, Llama } from "nextpatch";
 *
 * const device = Device.open("auto"); // a GPU if there is one
 * using model = await Llama.load("runs/mine/model", { device });
 * model.forward([1, 2, 3]).logits.dispose(); // is enqueued, and returns at once
 * await device.synchronize();
 * console.log(device.name, device.memory().peakUsedBytes);
 * ```
 */
export class Device extends NativeDevice {
  /**
   * Opens a device. `auto` takes the first GPU, or the CPU if there is none; any other value fails if that device is
   * missing.
   * @param options.threads host threads that compute on `cpu`; 0: `OMP_NUM_THREADS`, else all available cores
   * @throws TypeError or RangeError for a value that is not a device name, DeviceError if the device is missing
   */
  static open(spec: DeviceSpec = "auto", options: { threads?: number } = {}): Device {
    const check = new Arguments("Device.open");
    const { backend, index } = parse(check, "spec", spec);
    const { threads = threadsFromEnvironment() } = check.options("options", options, ["threads"]);
    return new Device(backend, index, check.wholeNumber("threads", threads, 0, limits.maxThreads));
  }

  /**
   * What console.log shows.
   * @internal
   */
  [inspect.custom](): string {
    const threads = this.threads === 0 ? "" : `, ${this.threads} threads`;
    return `Device ${this.backend}:${this.index} (${this.name})${threads}`;
  }

  /**
   * The dtype of weights, activations and products for a precision on this device.
   * @throws TypeError or RangeError for a wrong value
   */
  computeDType(precision: PrecisionSpec = "auto"): "f32" | "bf16" {
    checkPrecision(new Arguments("Device.computeDType"), "precision", precision);
    if (precision === "auto") return this.nativeBf16 ? "bf16" : "f32";
    return precision === "bf16" ? "bf16" : "f32";
  }
}

/** The backend that a name of a device means, and the number of its device. @throws as `Device.open` */
export function findDevice(spec: DeviceSpec): { backend: BackendName; index: number } {
  return parse(new Arguments("Device.open"), "spec", spec);
}

/** Opens the device of this number. @throws DeviceError if it is missing */
export function openNumbered(backend: BackendName, index: number): Device {
  return new Device(backend, index, threadsFromEnvironment());
}

/**
 * The backends of this build, their devices and versions, and why a backend is missing.
 *
 * @example
 * ```ts
 * import { backends } from "nextpatch";
 *
 * for (const { name, available, problem } of backends()) console.log(name, available ? "is there" : problem);
 * ```
 */
export function backends(): BackendReport[] {
  return native.backends();
}

/** Elements of this dtype in bytes. */
export function bytesOf(dtype: DType): number {
  return dtype === "bf16" ? 2 : 4;
}

/** Checks an argument that is a device name or an opened device: `Llama.load(folder, { device })`. */
export function checkDevice(check: Arguments, name: string, value: Device | DeviceSpec): void {
  if (typeof value === "string") parse(check, name, value);
  else check.instance(name, value, Device);
}

/** Checks an argument that names a precision. */
export function checkPrecision(check: Arguments, name: string, value: PrecisionSpec): void {
  check.oneOf(name, value, precisionNames);
}

function parse(check: Arguments, name: string, spec: string): { backend: BackendName; index: number } {
  check.string(name, spec, deviceNamesInWords);
  if (spec === "cpu" || spec === "simt") return { backend: spec, index: 0 };
  const cuda = /^cuda(?::(\d+))?$/.exec(spec);
  const index = Number(cuda?.[1] ?? 0);
  if (cuda && index > limits.maxDeviceIndex) {
    throw new DeviceError(
      `${spec}: expected a GPU of this machine but received a number above ${limits.maxDeviceIndex}`,
    );
  }
  if (cuda) return { backend: "cuda", index };
  if (spec !== "auto") check.fail(RangeError, name, deviceNamesInWords, describe(spec));
  const available = new Set(
    native
      .backends()
      .filter((b) => b.available)
      .map((b) => b.name),
  );
  for (const backend of ["cuda", "cpu"] as const) if (available.has(backend)) return { backend, index: 0 };
  const problems = native.backends().map((b) => `${b.name}: ${b.problem}`);
  throw new DeviceError(`device: expected a backend that can compute but received none: ${problems.join("; ")}`);
}

function threadsFromEnvironment(): number {
  const threads = Number(process.env.OMP_NUM_THREADS ?? 0);
  return Number.isInteger(threads) && threads > 0 ? threads : 0;
}
