import type { Check, Mutant } from "./mutant.js";

/** The operations' tests on simt, with threads and blocks in this order. */
function operations(file: string, schedule = "forward", filter?: string): Check {
  return {
    target: "nextpatch_simt",
    name: `test/operations/${file}, ${schedule}`,
    jest: [`test/operations/${file}.test.ts`, ...(filter === undefined ? [] : ["-t", filter])],
    env: { NEXTPATCH_SIMT_SCHEDULE: schedule },
  };
}

function binding(file: string, filter: string): Check {
  return {
    target: "nextpatch_simt",
    name: `test/binding/${file}`,
    jest: [`test/binding/${file}.test.ts`, "-t", filter],
    env: {},
  };
}

const cublaslt: Check = { target: "cublaslt_test", name: "the fake cuBLASLt", jest: [], env: {} };

export const mutants: readonly Mutant[] = [
  {
    fault: "attention's forward reads a slot of its ring without waiting for the other warps' copies",
    file: "native/cuda/attention/forward.cu",
    find: "    __syncthreads();\n",
    replace: "",
    check: operations("attention_forward", "forward", "in bf16"),
  },
  {
    fault: "dQ refills a stage that other warps may still read",
    file: "native/cuda/attention/dq.cu",
    find: "    __syncthreads();\n",
    replace: "",
    check: operations("attention_backward", "forward", "in bf16"),
  },
  {
    fault: "dK reads p before the other warp has sent it",
    file: "native/cuda/attention/dkdv.cu",
    find: "      named_barrier(1 + owner, 64);\n",
    replace: "",
    check: operations("attention_backward", "reverse", "in bf16"),
  },
  {
    fault: "all pairs of warps that send p meet at one barrier",
    file: "native/cuda/attention/dkdv.cu",
    find: "named_barrier(1 + owner, 64)",
    replace: "named_barrier(1, 64)",
    check: operations("attention_backward", "reverse", "in bf16"),
  },
  {
    fault: "attention's forward waits for one group of copies too few",
    file: "native/cuda/attention/forward.cu",
    find: "cp_async_wait<kTile.slots - 2>();",
    replace: "cp_async_wait<kTile.slots - 1>();",
    check: operations("attention_forward", "forward", "in bf16"),
  },
  {
    fault: "cross-entropy waits for one group of copies too few",
    file: "native/cuda/cross_entropy.cu",
    find: "cp_async_wait<kAhead - 1>();",
    replace: "cp_async_wait<kAhead>();",
    check: operations("cross_entropy", "forward", "in bf16"),
  },
  {
    fault: "the A operand's registers 1 and 2 are exchanged",
    file: "native/cuda/attention/product.cuh",
    find: "        const float (&pair)[4] = p[slab][2 * k + i / 2];\n        left[slab][i] = pack_bf16(pair[i % 2 * 2], pair[i % 2 * 2 + 1]);",
    replace: "        const float (&pair)[4] = p[slab][2 * k + i % 2];\n        left[slab][i] = pack_bf16(pair[i / 2 * 2], pair[i / 2 * 2 + 1]);",
    check: operations("attention_forward", "forward", "in bf16"),
  },
  {
    fault: "the causal mask shows one key too many",
    file: "native/cuda/attention/forward.cu",
    find: "shape.offset() - tile * kTile.keys;",
    replace: "shape.offset() - tile * kTile.keys + 1;",
    check: operations("attention_forward", "forward", "in bf16"),
  },
  {
    fault: "the causal mask is left out where it hides a tile's last key only",
    file: "native/cuda/attention/forward.cu",
    find: "if (last < kTile.keys - 1) mask_after",
    replace: "if (last < kTile.keys - 2) mask_after",
    check: operations("attention_forward", "forward", "in bf16"),
  },
  {
    fault: "the scores of a row are read before the other lanes have written them",
    file: "native/cuda/attention/plain_forward.cu",
    find: "    __syncwarp();  // rows of scores are read by the warp that wrote them\n",
    replace: "",
    check: operations("attention_forward", "reverse"),
  },
  {
    fault: "a row's sum leaves out two of its four lanes",
    file: "native/cuda/attention/backward.cu",
    find: "__shfl_xor_sync(kAllLanes, sum, 2)",
    replace: "__shfl_xor_sync(kAllLanes, sum, 4)",
    check: operations("attention_backward", "forward", "in bf16"),
  },
  {
    fault: "a shuffle's mask leaves out a lane that takes part",
    file: "native/cuda/attention/backward.cu",
    find: "__shfl_xor_sync(kAllLanes, sum, 1)",
    replace: "__shfl_xor_sync(kAllLanes >> 1, sum, 1)",
    check: operations("attention_backward", "forward", "in bf16"),
  },
  {
    fault: "a row's sum reuses its scratch memory while slower warps read it",
    file: "native/cuda/rmsnorm.cu",
    find: "scratch + step % 2 * kWarps",
    replace: "scratch",
    check: operations("rmsnorm", "random:1"),
  },
  {
    fault: "a prefix sum reuses its scratch memory while slower warps read it",
    file: "native/cuda/patch_embedding_order.cuh",
    find: "  __syncthreads();\n  return before + sum - value;",
    replace: "  return before + sum - value;",
    check: operations("patch_embedding", "random:1"),
  },
  {
    fault: "a lane moves the next index of a digit before the other lanes have read it",
    file: "native/cuda/patch_embedding_order.cuh",
    find: "      __syncwarp();\n      if (in && before == 0)",
    replace: "      if (in && before == 0)",
    check: operations("patch_embedding"),
  },
  {
    fault: "the sum over slices leaves out the last block's",
    file: "native/cuda/reduce.cu",
    find: "norm.as<float>(), sums, int(slices));",
    replace: "norm.as<float>(), sums, int(slices) - 1);",
    check: operations("reduce"),
  },
  {
    fault: "shared memory is one element short",
    file: "native/cuda/labels.cu",
    find: "kCountThreads / 32 * sizeof(int)",
    replace: "(kCountThreads / 32 - 1) * sizeof(int)",
    check: operations("labels"),
  },
  {
    fault: "a strided copy computes its offsets in 32 bits",
    file: "native/cuda/fill_copy.cu",
    find: "  int64_t to = 0, from = 0;",
    replace: "  int to = 0, from = 0;",
    check: binding("process", "2\\^31"),
  },
  {
    fault: "cross-entropy computes a row's offset in 32 bits",
    file: "native/cuda/cross_entropy.cu",
    find: "row(logits + int64_t(blockIdx.x) * vocabulary, vocabulary)",
    replace: "row(logits + int(blockIdx.x) * vocabulary, vocabulary)",
    check: binding("process", "2\\^31"),
  },
  {
    fault: "an upload's copy on the device does not wait until its data has arrived",
    file: "native/cuda/context.cu",
    find: '  check(cudaStreamWaitEvent(stream, owned_.arrived, 0), "upload");\n',
    replace: "",
    check: binding("device", "on simt"),
  },
  {
    fault: "an upload does not wait until the last one has been copied out of its buffer",
    file: "native/cuda/context.cu",
    find: '  check(cudaStreamWaitEvent(copies, owned_.departed, 0), "upload");\n',
    replace: "",
    check: binding("device", "on simt"),
  },
  {
    fault: "an upload to fresh memory does not wait for what used it before",
    file: "native/cuda/context.cu",
    find: '  if (fresh) check(cudaEventRecord(owned_.departed, stream), "upload");\n',
    replace: "",
    check: binding("device", "on simt"),
  },
  {
    fault: "a ticket is recorded on the stream of the uploads",
    file: "native/cuda/context.cu",
    find: "cudaEventRecord(owned_.events[ticket % kEvents], owned_.device.stream)",
    replace: "cudaEventRecord(owned_.events[ticket % kEvents], owned_.copies)",
    check: binding("device", "on simt"),
  },
  {
    fault: "a captured timestamp marks a place in the graph only",
    file: "native/cuda/context.cu",
    find: "capturing_ ? cudaEventRecordExternal : cudaEventRecordDefault",
    replace: "cudaEventRecordDefault",
    check: binding("graph", "marks on simt"),
  },
  {
    fault: "an error that loses the device is taken for the operation's own",
    file: "native/cuda/check.h",
    find: "    case 719:  // cudaErrorLaunchFailure\n",
    replace: "",
    check: binding("process", "whose device faults"),
  },
  {
    fault: "a matrix's leading dimension is that of its transpose",
    file: "native/cuda/gemm_cublaslt.cpp",
    find: "uint64_t(rows), uint64_t(cols), rows)",
    replace: "uint64_t(rows), uint64_t(cols), cols)",
    check: cublaslt,
  },
  {
    fault: "cuBLASLt is promised the other operand's alignment",
    file: "native/cuda/gemm_cublaslt.cpp",
    find: "preference.set(lt::kMinAlignmentABytes, align_b);",
    replace: "preference.set(lt::kMinAlignmentABytes, align_a);",
    check: cublaslt,
  },
  {
    fault: "cuBLASLt is promised the other operand's alignment (B)",
    file: "native/cuda/gemm_cublaslt.cpp",
    find: "preference.set(lt::kMinAlignmentBBytes, align_a);",
    replace: "preference.set(lt::kMinAlignmentBBytes, align_b);",
    check: cublaslt,
  },
  {
    fault: "an algorithm chosen for an aligned result is used for any",
    file: "native/cuda/gemm_cublaslt.cpp",
    find: "c.dtype, align_a, align_b, align_c};",
    replace: "c.dtype, align_a, align_b, 0};",
    check: cublaslt,
  },
  {
    fault: "the products' operands are not exchanged for column-major order",
    file: "native/cuda/gemm_cublaslt.cpp",
    find: "const lt::Operation of_first = transpose_b ? lt::kT : lt::kN;",
    replace: "const lt::Operation of_first = transpose_a ? lt::kT : lt::kN;",
    check: cublaslt,
  },
];
