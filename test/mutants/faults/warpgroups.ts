/** Faults in attention with a warpgroup's products. */
import { assembler, races, simt } from "../checks.js";
import type { Mutant } from "../mutant.js";

const wrong = "toBeLessThanOrEqual";

/** The tests of few positions: those of a thousand take most of the time. */
const short = "in bf16 (1|3|5|7|9|17|19|33|35|113|203) x";
const forward = "operations/attention_forward";
const backward = "operations/attention_backward";

export const warpgroups: readonly Mutant[] = [
  {
    fault: "A warpgroup's products read what was not fenced for them.",
    file: "native/cuda/attention/dkdv_wgmma.cu",
    find: "      fence_shared_for_wgmma();\n",
    replace: "",
    check: simt(backward, { filter: short }),
    says: "was not fenced",
  },
  {
    fault: "A warpgroup's products read a stage without a __syncthreads behind the other threads' copies.",
    file: "native/cuda/attention/dq_wgmma.cu",
    find: "    __syncthreads();\n",
    replace: "",
    check: races(backward, { filter: short }),
    says: "race at byte",
  },
  {
    fault: "A warpgroup uses its scores before the product that makes them is done.",
    file: "native/cuda/attention/forward_wgmma.cu",
    find: "      wgmma_wait<1>();\n      pin(scores);",
    replace: "      pin(scores);",
    check: simt(forward, { filter: short }),
    says: wrong,
  },
  {
    fault: "A warpgroup's sum is rescaled while a product still adds to it.",
    file: "native/cuda/attention/forward_wgmma.cu",
    find: "      wgmma_wait<0>();\n      pin(sum);\n      softmax.rescale(sum);",
    replace: "      softmax.rescale(sum);",
    check: simt(forward, { filter: short }),
    says: wrong,
  },
  {
    fault: "A warpgroup's values are read by the columns of another panel.",
    file: "native/cuda/attention/warpgroup.cuh",
    find: "return panel_descriptor(tile, kPanelBytes);",
    replace: "return panel_descriptor(tile, 1024);",
    check: simt(forward, { filter: short }),
    says: wrong,
  },
  {
    fault: "A descriptor does not say that the panels are swizzled.",
    file: "native/cuda/wgmma.cuh",
    find: " | uint64_t(1024 >> 4) << 32 | uint64_t(1) << 62};",
    replace: " | uint64_t(1024 >> 4) << 32};",
    check: simt(forward, { filter: short }),
    says: "a swizzle of 128 bytes",
  },
  {
    fault: "dK's product begins before the gradients of the scores are rounded into its operand.",
    file: "native/cuda/attention/dkdv_wgmma.cu",
    find: "      pack_rows(ds_rows, ds);",
    replace: "      pack_rows(ds_rows, p);",
    check: simt(backward, { filter: short }),
    says: wrong,
  },
  {
    fault: "A thread leaves while its warpgroup's product runs.",
    file: "native/cuda/attention/dq_wgmma.cu",
    find: "  wgmma_wait<0>();\n  pin(dq_sum);\n",
    replace: "",
    check: simt(backward, { filter: short }),
    says: "wgmma that it never waited for",
  },
  {
    fault: "dK's product begins without a fence behind the registers of its operand.",
    file: "native/cuda/attention/dkdv_wgmma.cu",
    find: "      pack_rows(ds_rows, ds);\n      wgmma_fence();\n",
    replace: "      pack_rows(ds_rows, ds);\n",
    check: assembler("attention/dkdv_wgmma.cu"),
    says: "lacks a wgmma_fence",
  },
  {
    fault: "A warpgroup's sums are read while their product runs.",
    file: "native/cuda/attention/dq_wgmma.cu",
    find: "    wgmma_wait<0>();\n    pin(ds);\n",
    replace: "",
    check: assembler("attention/dq_wgmma.cu"),
    says: "its wgmma do not overlap",
  },
  {
    fault: "A warpgroup's products are in the PTX for later chips, which do not have them.",
    file: "native/cuda/wgmma.cuh",
    find: "#if NEXTPATCH_SIMT || defined(__CUDA_ARCH_FEAT_SM90_ALL)",
    replace: "#if NEXTPATCH_SIMT || __CUDA_ARCH__ >= 900",
    check: assembler("attention/dq_wgmma.cu"),
    says: "Instruction 'wgmma.fence' not supported on .target 'sm_90'",
  },
];
