/** Faults in the other kernels. */
import { races, sanitized, simt } from "../checks.js";
import type { Mutant } from "../mutant.js";
import { race, wrong } from "./shared.js";

const large = { filter: "2\\^31" };

export const kernels: readonly Mutant[] = [
  {
    fault: "A block's sum reuses its scratch memory while slower warps read it: a __syncthreads is missing.",
    file: "native/cuda/block_reduce.cuh",
    find: "  value = warp_sum(lane < warps ? scratch[lane] : T(0));\n  __syncthreads();\n",
    replace: "  value = warp_sum(lane < warps ? scratch[lane] : T(0));\n",
    check: races("operations/sample", { filter: "cuts equal logits" }),
    says: race,
  },
  {
    fault: "RMSNorm's gradient reuses the scratch memory of its last row.",
    file: "native/cuda/rmsnorm.cu",
    find: "scratch + step % 2 * kWarps",
    replace: "scratch",
    check: races("operations/rmsnorm"),
    says: race,
  },
  {
    fault: "The gradient of RMSNorm's weight is summed before all warps have written their parts.",
    file: "native/cuda/rmsnorm.cu",
    find: "  __syncthreads();\n  for (int col = int(threadIdx.x); col < held; col += kThreads) {",
    replace: "  for (int col = int(threadIdx.x); col < held; col += kThreads) {",
    check: races("operations/rmsnorm"),
    says: race,
  },
  {
    fault: "A prefix sum reuses its scratch memory while slower warps read it.",
    file: "native/cuda/patch_embedding_order.cuh",
    find: "  __syncthreads();\n  return before + sum - value;",
    replace: "  return before + sum - value;",
    check: races("operations/patch_embedding"),
    says: race,
  },
  {
    fault: "A lane moves the next index of a digit before the other lanes have read it (__syncwarp).",
    file: "native/cuda/patch_embedding_order.cuh",
    find: "      __syncwarp();\n      if (in && before == 0)",
    replace: "      if (in && before == 0)",
    check: races("operations/patch_embedding"),
    says: race,
  },
  {
    fault: "Cross-entropy waits for one group of cp.async too few.",
    file: "native/cuda/cross_entropy.cu",
    find: "cp_async_wait<kAhead - 1>();",
    replace: "cp_async_wait<kAhead>();",
    check: simt("operations/cross_entropy"),
    says: "cp.async that it never waited for",
  },
  {
    fault: "The sum over slices leaves out the last block's.",
    file: "native/cuda/reduce.cu",
    find: "norm.as<float>(), sums, int(slices));",
    replace: "norm.as<float>(), sums, int(slices) - 1);",
    check: simt("operations/reduce"),
    says: wrong,
  },
  {
    fault: "The norm of a matrix leaves out its last slice.",
    file: "native/cuda/muon.cu",
    find: "threadIdx.x < count ?",
    replace: "threadIdx.x + 1 < count ?",
    check: simt("operations/muon"),
    says: wrong,
  },
  {
    fault: "A matrix's weights are found where they were if nothing lay between the matrices.",
    file: "native/cuda/muon.cu",
    find: "master += int64_t(blockIdx.y) * master_stride + i;",
    replace: "master += int64_t(blockIdx.y) * cols + i;",
    check: simt("operations/muon"),
    says: wrong,
  },
  {
    fault: "A block's shared memory is one element short.",
    file: "native/cuda/labels.cu",
    find: "kCountThreads / 32 * sizeof(int)",
    replace: "(kCountThreads / 32 - 1) * sizeof(int)",
    check: sanitized("operations/labels"),
    says: "AddressSanitizer",
  },
  {
    fault: "A strided copy computes its offsets in 32 bits.",
    file: "native/cuda/fill_copy.cu",
    find: "  int64_t to = 0, from = 0;",
    replace: "  int to = 0, from = 0;",
    check: simt("binding/process", large),
    says: "● tensors of more than 2^31 elements",
  },
  {
    fault: "Cross-entropy computes a row's offset in 32 bits.",
    file: "native/cuda/cross_entropy.cu",
    find: "row(logits + int64_t(blockIdx.x) * vocabulary, vocabulary)",
    replace: "row(logits + int(blockIdx.x) * vocabulary, vocabulary)",
    check: simt("binding/process", large),
    says: "● tensors of more than 2^31 elements",
  },
  {
    fault: "Attention computes the offset of a row in 32 bits.",
    file: "native/cuda/attention/attention.h",
    find: "+ row * row_stride;",
    replace: "+ row * int(row_stride);",
    check: simt("binding/process", large),
    says: "● tensors of more than 2^31 elements",
  },
];
