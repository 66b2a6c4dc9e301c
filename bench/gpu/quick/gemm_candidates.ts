/**
 * Every matrix product of a training step of llama-370m with every algorithm that cuBLASLt's heuristic offers, for
 * bench/gpu.sh quick:
 *
 *     npx tsx bench/gpu/quick/gemm_candidates.ts cuda
 *
 * A run takes the first of them (native/cuda/gemm_cublaslt.cpp). Prints a line of JSON when it has timed one more for
 * all products: `{"products": [{ M, N, K, op, flops, seconds }]}`, with one number of `seconds` for each candidate.
 */
import { kernelCases } from "../../../lib/bench/kernels/cases.js";
import { timeCase } from "../../../lib/bench/kernels/run.js";
import { benchShapes } from "../../../lib/bench/kernels/shapes.js";
import { native } from "../../../lib/native.js";

/** As many as gemm_cublaslt.cpp asks the heuristic for; on simt there is one way to multiply. */
const most = { cuda: 8, simt: 1 };

const backend = process.argv[2] as keyof typeof most;
const shapes = { ...benchShapes(backend), otherLayers: [] };
const timing = backend === "cuda" ? { batchSeconds: 0.01, batches: 3 } : { batchSeconds: 0, batches: 1 };
const cases = kernelCases(shapes, "bf16").filter(({ name }) => name === "matmul");
const products = cases.map(({ shape, cost: { flops } }) => ({ ...shape, flops, seconds: [] as number[] }));

for (let candidate = 0; candidate < most[backend]; candidate++) {
  process.env.NEXTPATCH_CUBLAS_CANDIDATE = String(candidate);
  // The variable is read when a device is opened. Another number of threads, which a GPU has no use for, opens it anew.
  const device = new native.Device(backend, 0, candidate + 1);
  for (const [index, each] of cases.entries()) {
    const { seconds } = products[index]!;
    if (seconds.length < candidate) continue; // the heuristic has offered fewer
    try {
      seconds.push(await timeCase(device, each, shapes.rotatedBytes, timing));
    } catch (error) {
      if (!/NEXTPATCH_CUBLAS_CANDIDATE/.test((error as Error).message)) throw error;
    }
  }
  device.trim();
  process.stdout.write(`${JSON.stringify({ products })}\n`);
}
