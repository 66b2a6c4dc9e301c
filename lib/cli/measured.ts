import type { BackendName, DeviceReport } from "../native.js";

/** What `bench/results` has measurements of: the code, the device that ran it, and the day. */
const measurements: ReadonlyMap<string, string> = new Map([
  ["machine code for sm_90a", "NVIDIA H200, 2026-11-26"],
  ["machine code for avx512_bf16", "AMD EPYC (Zen 5), 2026-11-26"],
]);

/**
 * On which device, and when, the project last measured the speed of the code that this one runs; null if it never did.
 * On the simulated device there is nothing to measure.
 */
export function measuredOn(backend: BackendName, { code }: DeviceReport): string | null {
  return backend === "simt" || code === null ? null : (measurements.get(code) ?? null);
}
