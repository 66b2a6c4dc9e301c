/**
 * The sizes and ranges that hold on every backend. Written by `npm run limits` from native/core/limits.h, so that
 * what needs no addon (configs, `info`) need not load it. binding.d.ts says what each is.
 */
import type { Limits } from "../binding.js";

export const limits = {
  headDims: [16, 32, 48, 64, 80, 96, 128, 256],
  maxRank: 4,
  maxElements: 17_592_186_044_416,
  maxWholeNumber: 9_007_199_254_740_991,
  maxDeviceIndex: 4_096,
  maxThreads: 4_096,
  markSlots: 4_096,
  adamwHyperSize: 8,
  muonHyperSize: 4,
} as const satisfies { readonly [K in keyof Limits]: Limits[K] | readonly number[] };

/** Whether attention has kernels for a head dimension. */
export function isHeadDim(size: number): boolean {
  return (limits.headDims as readonly number[]).includes(size);
}
