import { kernelKey } from "../pairing.js";
import type { GpuResult } from "./result.js";

/** The fraction by which a kernel may be slower: timings differ by a few per cent from run to run. */
const tolerance = 0.1;

/**
 * The kernels that became slower, one line each. Ratios to PyTorch in the same run are compared, not seconds: a hotter
 * or differently clocked GPU changes both.
 * @throws Error if the two results are from different devices
 */
export function regressions(committed: GpuResult, current: GpuResult): string[] {
  if (committed.device !== current.device) {
    throw new Error(`results of different devices: ${committed.device} committed, ${current.device} now`);
  }
  const now = new Map((current.kernels?.rows ?? []).map((row) => [kernelKey(row), row]));
  return (committed.kernels?.rows ?? []).flatMap((row) => {
    if (row.ratio === null) return [];
    const key = kernelKey(row);
    const { ratio = null, peers = [] } = now.get(key) ?? {};
    // Launch-bound this time, on another host: a ratio would say nothing about the kernel.
    if (ratio === null && peers.some(({ launchBound }) => launchBound)) return [];
    if (ratio === null) return [`${key}: ${row.ratio.toFixed(2)} x PyTorch committed, not measured now`];
    const slower = row.ratio / ratio - 1;
    if (slower <= tolerance) return [];
    const change = `${(100 * slower).toFixed(0)} % slower`;
    return [`${key}: ${row.ratio.toFixed(2)} x PyTorch committed, ${ratio.toFixed(2)} x now (${change})`];
  });
}
