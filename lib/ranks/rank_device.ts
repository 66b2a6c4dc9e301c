/** The device of a rank: each has its own. */
import { Device, type DeviceSpec, findDevice, openNumbered } from "../device.js";
import { ConfigError, DeviceError } from "../errors.js";
import { type BackendName, native } from "../native.js";
import { launchedPlace } from "./place.js";

/**
 * Opens the device that a name means for this process: of several ranks on one machine each has a GPU of its own, by its
 * number among them, unless the name says which.
 * @param devices the GPUs of this machine's ranks, one for each; empty: from the first on
 * @throws ConfigError if `devices` does not fit the device or the ranks; DeviceError if there is no such GPU
 */
export function openRankDevice(spec: DeviceSpec, devices: readonly number[] = []): Device {
  if (devices.length > 0) checkDevices(spec, devices);
  const local = launchedPlace() === null ? null : (launchedPlace()!.local ?? 0);
  const { backend, index } = findDevice(spec);
  if (backend === "cpu" || (devices.length === 0 && (local === null || /:/.test(spec)))) return Device.open(spec);
  if (devices.length > 0) {
    const chosen = devices[local ?? 0];
    if (chosen !== undefined) return openNumbered(backend, chosen);
    throw new ConfigError(
      `parallel.devices: expected one for each rank of this machine but received ${devices.length} for rank ${local! + 1} of it`,
    );
  }
  const count = deviceCount(backend);
  // A launcher may show each rank its own GPU alone.
  if (local! < count) return openNumbered(backend, local!);
  if (count <= 1) return openNumbered(backend, index);
  throw new DeviceError(`device: expected a GPU for rank ${local! + 1} of this machine but received ${count} GPUs`);
}

/**
 * Whether these are devices of their own of the kind that is named.
 * @throws ConfigError
 */
export function checkDevices(spec: DeviceSpec, devices: readonly number[]): void {
  const { backend } = findDevice(spec);
  const list = devices.join(", ");
  if (backend === "cpu") {
    throw new ConfigError(
      `parallel.devices: expected GPUs but received ${list} of cpu, which has several ranks by --ranks`,
    );
  }
  if (/:/.test(spec)) throw new ConfigError(`device: expected cuda beside parallel.devices but received ${spec}`);
  const count = deviceCount(backend);
  const missing = devices.find((device) => device >= count);
  if (missing !== undefined) {
    throw new ConfigError(
      `parallel.devices: expected numbers below ${count}, of this machine's GPUs, but received ${missing}`,
    );
  }
}

const deviceCount = (backend: BackendName): number =>
  native.backends().find(({ name }) => name === backend)?.devices.length ?? 0;
