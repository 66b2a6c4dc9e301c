/**
 * Every matrix product of a training step of llama-370m with every algorithm that cuBLASLt's heuristic offers, for
 * bench/gpu.sh quick:
 *
 *     npx tsx bench/gpu/quick/gemm_candidates.ts cuda
 *
 * A run without a product table takes the first of them (native/cuda/gemm_cublaslt.cpp). Prints a line of JSON when it
 * has timed one more product: `{"products": [{ M, N, K, op, flops, seconds }]}`, with one number of `seconds` for each
 * candidate, null for one that does not run or gives other bits every time. simt needs
 * NEXTPATCH_SIMT_ALGORITHMS=several.
 */
import { kernelCases } from "../../../lib/bench/kernels/cases.js";
import { benchShapes } from "../../../lib/bench/kernels/shapes.js";
import { timeCandidates } from "../../../lib/bench/products/candidates.js";
import { Device } from "../../../lib/device.js";
import type { SeenProduct } from "../../../lib/native.js";
import type { GemmCandidates } from "./tables.js";

const backend = process.argv[2] as "cuda" | "simt";
const device = Device.open(backend);
const shapes = { ...benchShapes(backend), otherLayers: [] };
const timing = backend === "cuda" ? { seconds: 2e-3, rounds: 5 } : { seconds: 0, rounds: 1 };
const products: GemmCandidates["products"][number][] = [];

for (const { name, shape, cost } of kernelCases(shapes, "bf16")) {
  if (name !== "matmul") continue;
  const { M, N, K, op } = shape as { M: number; N: number; K: number; op: string };
  const candidates = await timeCandidates(device, seen(M, N, K, op), timing);
  device.trim();
  products.push({ M, N, K, op, flops: cost.flops, seconds: candidates.map(({ seconds }) => seconds) });
  process.stdout.write(`${JSON.stringify({ products })}\n`);
}

/** As a step calls it: a weight's gradient is f32 and added to, everything else is bf16 and written. */
function seen(m: number, n: number, k: number, op: string): SeenProduct {
  const gradient = op === "TN";
  return {
    m,
    n,
    k,
    transposeA: op[0] === "T",
    transposeB: op[1] === "T",
    inputs: "bf16",
    output: gradient ? "f32" : "bf16",
    alignment: [256, 256, 256],
    writes: gradient ? 0 : 1,
    adds: gradient ? 1 : 0,
    inTable: false,
  };
}
