/** The values of `device` and `precision` in a config, on the command line and in the API. */

/** A device: the CPU, the first GPU or the N-th, the simulated one; `auto` chooses. */
export type DeviceSpec = "auto" | "cpu" | "cuda" | `cuda:${number}` | "simt";

/** The strings that are a `DeviceSpec`. */
export const deviceNames = /^(auto|cpu|simt|cuda(:\d+)?)$/;
/** The same in words. */
export const deviceNamesInWords = "auto, cpu, cuda, cuda:N or simt";

export const precisionNames = ["auto", "bf16", "fp32"] as const;

/** The precision of activations and matrix products. */
export type PrecisionSpec = (typeof precisionNames)[number];
