import type { BackendName, DeviceReport } from "../native.js";

/** The code that `bench/results` has the speed of. No GPU's is among it yet. */
const measuredCode: ReadonlySet<string> = new Set(["machine code for avx512_bf16"]);

/**
 * Whether the project has measured the speed of the code that a device runs; null where nothing is to be measured: on
 * the simulated device, and on a device that there is no code for.
 */
export function isMeasured(backend: BackendName, { code }: DeviceReport): boolean | null {
  return backend === "simt" || code === null ? null : measuredCode.has(code);
}
