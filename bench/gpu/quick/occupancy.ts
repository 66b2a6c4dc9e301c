/** Attention's kernels as the driver says they fit a multiprocessor, beside what `npm run check:cuda` counted. */
import { parseWarps } from "../../occupancy/occupancy.js";
import { shortName } from "../../ptxas.js";

/** A line of NEXTPATCH_CUDA_OCCUPANCY's file; what the driver does not tell is missing. */
interface Reported {
  readonly kernel: string;
  readonly threads: number;
  readonly sharedBytes: number;
  readonly registers?: number;
  readonly localBytes?: number;
  /** The machine code: 90 is that of compute capability 9.0. */
  readonly binary?: number;
  /** Blocks that a multiprocessor holds. */
  readonly blocks?: number;
}

export interface KernelOccupancy extends Reported {
  /** Warps that a multiprocessor holds. */
  readonly warps: number | null;
  /** As counted without a GPU; null for a kernel or a capability that was not counted. */
  readonly countedWarps: number | null;
}

/**
 * @param reported the file's text
 * @param counted the output of `npm run check:cuda`
 * @param capability `9.0`
 */
export function attentionOccupancy(reported: string, counted: string, capability: string | null): KernelOccupancy[] {
  const warpsOf = parseWarps(counted);
  const rows = new Map<string, KernelOccupancy>();
  for (const line of reported.trim().split("\n")) {
    const found = JSON.parse(line) as Reported;
    const kernel = shortName(found.kernel);
    if (!/^attention_(forward|dq|dkdv)_(wgmma_)?kernel/.test(kernel)) continue;
    const warps = found.blocks === undefined ? null : (found.blocks * found.threads) / 32;
    rows.set(kernel, { ...found, kernel, warps, countedWarps: warpsOf.get(`${kernel} ${capability}`) ?? null });
  }
  return [...rows.values()].sort((a, b) => a.kernel.localeCompare(b.kernel, "en", { numeric: true }));
}
