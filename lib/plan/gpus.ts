/** GPUs by name, from NVIDIA's data sheets, for planning on what is not there. */
import { nearestKey } from "../nearest.js";
import { dataSheetPeak } from "../train/peak.js";

/** How the GPUs of a machine are linked. */
export interface GpuLink {
  readonly kind: "NVLink" | "PCIe";
  /** In one direction, of all links of a GPU together: half of what a data sheet has. */
  readonly bytesPerSecond: number;
}

export interface Gpu {
  readonly name: GpuName;
  /** Dense, in bf16, in FLOP/s. */
  readonly peakFlops: number;
  /** As the data sheet says: decimal, and a little less than what a driver reports. */
  readonly memoryBytes: number;
  readonly link: GpuLink;
}

const nvlink = (bytesPerSecond: number): GpuLink => ({ kind: "NVLink", bytesPerSecond });
/** PCIe 4.0 x16: 64 GB/s in both directions together. */
const pcie4: GpuLink = { kind: "PCIe", bytesPerSecond: 32e9 };

/** What devices are called, by which the peak is found, memory and links. */
const dataSheets = {
  a100: ["NVIDIA A100-SXM4-80GB", 80e9, nvlink(300e9)], // NVLink 3: 600 GB/s
  h100: ["NVIDIA H100 80GB HBM3", 80e9, nvlink(450e9)], // SXM5, NVLink 4: 900 GB/s
  h200: ["NVIDIA H200", 141e9, nvlink(450e9)],
  b200: ["NVIDIA B200", 180e9, nvlink(900e9)], // HGX and DGX B200, NVLink 5: 1.8 TB/s
  l40s: ["NVIDIA L40S", 48e9, pcie4],
  4090: ["NVIDIA GeForce RTX 4090", 24e9, pcie4],
} as const satisfies Record<string, readonly [string, number, GpuLink]>;

export type GpuName = `${keyof typeof dataSheets}`;

export const gpuNames = ["a100", "h100", "h200", "b200", "l40s", "4090"] as const satisfies readonly GpuName[];

export function gpuNamed(name: GpuName): Gpu {
  const [device, memoryBytes, link] = dataSheets[name];
  return { name, peakFlops: dataSheetPeak(device)!, memoryBytes, link };
}

/** The name that a text means; null: none, and `hint` may have the nearest. */
export function findGpu(text: string): { name: GpuName | null; hint: string } {
  const name = gpuNames.find((known) => known === text.toLowerCase()) ?? null;
  const nearest = nearestKey(text, gpuNames);
  return { name, hint: nearest === undefined ? "" : `; did you mean ${nearest}?` };
}
