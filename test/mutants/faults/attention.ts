/** Faults in the attention kernels. */
import { assembler, races, sanitized, simt } from "../checks.js";
import type { Mutant } from "../mutant.js";

const wrong = "toBeLessThanOrEqual";
const race = "race at byte";

/** The tests of few positions: those of a thousand take most of the time. */
const short = "in bf16 (1|3|5|7|9|17|19|33|35|113|203) x";
const forward = "operations/attention_forward";
const backward = "operations/attention_backward";

export const attention: readonly Mutant[] = [
  {
    fault: "The forward pass reads a slot of its ring without a __syncthreads behind the other warps' copies.",
    file: "native/cuda/attention/forward.cu",
    find: "    __syncthreads();\n",
    replace: "",
    check: races(forward, { filter: short }),
    says: race,
  },
  {
    fault: "dQ refills a stage that other warps may still read: its __syncthreads is missing.",
    file: "native/cuda/attention/dq.cu",
    find: "    __syncthreads();\n",
    replace: "",
    check: races(backward, { filter: short }),
    says: race,
  },
  {
    fault: "dK's warp reads p without the named barrier behind the warp that sends it.",
    file: "native/cuda/attention/dkdv.cu",
    find: "      named_barrier(1 + owner, 64);\n",
    replace: "",
    check: races(backward, { filter: short, capability: "8.0" }),
    says: race,
  },
  {
    fault: "All pairs of warps that send p meet at one named barrier.",
    file: "native/cuda/attention/dkdv.cu",
    find: "named_barrier(1 + owner, 64)",
    replace: "named_barrier(1, 64)",
    check: races(backward, { filter: short, capability: "8.0" }),
    says: race,
  },
  {
    fault: "A warp stores a tile of results before all its lanes have written it: a __syncwarp is missing.",
    file: "native/cuda/attention/shared_tile.cuh",
    find: "  __syncwarp();\n  constexpr unsigned kChunks",
    replace: "  constexpr unsigned kChunks",
    check: races(forward, { filter: short }),
    says: race,
  },
  {
    fault: "Without tensor cores, a row's scores are read before the other lanes have written them (__syncwarp).",
    file: "native/cuda/attention/plain_forward.cu",
    find: "    __syncwarp();  // rows of scores are read by the warp that wrote them\n",
    replace: "",
    check: races(forward, { filter: "in f32 (1|3|5|7|9|17) x" }),
    says: race,
  },
  {
    fault: "The forward pass waits for one group of cp.async too few.",
    file: "native/cuda/attention/forward.cu",
    find: "cp_async_wait<kTile.slots - 2>();",
    replace: "cp_async_wait<kTile.slots - 1>();",
    check: simt(forward, { filter: short }),
    says: "cp.async that it never waited for",
  },
  {
    fault: "The A operand's fragments 1 and 2 are swapped.",
    file: "native/cuda/attention/product.cuh",
    find: "        const float (&pair)[4] = p[slab][2 * k + i / 2];\n        left[slab][i] = pack_bf16(pair[i % 2 * 2], pair[i % 2 * 2 + 1]);",
    replace:
      "        const float (&pair)[4] = p[slab][2 * k + i % 2];\n        left[slab][i] = pack_bf16(pair[i / 2 * 2], pair[i / 2 * 2 + 1]);",
    check: simt(forward, { filter: short }),
    says: wrong,
  },
  {
    fault: "The B operand's fragments are those of the transpose.",
    file: "native/cuda/attention/product.cuh",
    find: "      ldmatrix_x4_trans(right, b.at(k, n));",
    replace: "      ldmatrix_x4(right, b.at(k, n));",
    check: simt(forward, { filter: short }),
    says: wrong,
  },
  {
    fault: "Fragments are read from unswizzled places.",
    file: "native/cuda/attention/shared_tile.cuh",
    find: "turned_chunk_((chunk ^ Tile<D>::turn(row)) * 8)",
    replace: "turned_chunk_(chunk * 8)",
    check: simt(forward, { filter: short }),
    says: wrong,
  },
  {
    fault: "The causal mask shows one key too many.",
    file: "native/cuda/attention/forward.cu",
    find: "shape.offset() - tile * kTile.keys;",
    replace: "shape.offset() - tile * kTile.keys + 1;",
    check: simt(forward, { filter: short }),
    says: wrong,
  },
  {
    fault: "The causal mask is left out where it hides a tile's last key only.",
    file: "native/cuda/attention/forward.cu",
    find: "if (last < kTile.keys - 1) mask_after",
    replace: "if (last < kTile.keys - 2) mask_after",
    check: simt(forward, { filter: "in bf16 35 x 65", capability: "8.0" }),
    says: wrong,
  },
  {
    fault: "The causal mask of dK and dV is left out where it hides one key from one query only.",
    file: "native/cuda/attention/dkdv.cu",
    find: "const bool masked = last < Slabs * 16 - 1;",
    replace: "const bool masked = last < Slabs * 16 - 2;",
    check: simt(backward, { filter: "in bf16 gives no gradient to a key", capability: "8.0" }),
    says: "● attention backward on simt in bf16 › gives no gradient to a key",
  },
  {
    fault: "The workspace of attention's gradient leaves out the padding of its rows.",
    file: "native/cuda/attention/backward.cu",
    find: "return 2 * batch * heads * padded_queries(queries);",
    replace: "return 2 * batch * heads * queries;",
    check: sanitized(backward, { filter: short }),
    says: "AddressSanitizer",
  },
  {
    fault: "dK is turned back by the positions of its tile, not of the sequence.",
    file: "native/cuda/attention/rotary.cuh",
    find: "int64_t(first + row) * D",
    replace: "int64_t(row) * D",
    check: simt(backward, { filter: "in bf16 (33|35) x" }),
    says: wrong,
  },
  {
    fault: "A row's sum leaves out two of its four lanes.",
    file: "native/cuda/attention/backward.cu",
    find: "__shfl_xor_sync(kAllLanes, sum, 2)",
    replace: "__shfl_xor_sync(kAllLanes, sum, 4)",
    check: simt(backward, { filter: short }),
    says: wrong,
  },
  {
    fault: "A shuffle's mask leaves out a lane that takes part.",
    file: "native/cuda/attention/backward.cu",
    find: "__shfl_xor_sync(kAllLanes, sum, 1)",
    replace: "__shfl_xor_sync(kAllLanes >> 1, sum, 1)",
    check: simt(backward, { filter: short }),
    says: "reads a lane that is not in the mask",
  },
  {
    fault: "A device with little shared memory is given the tile of one with much.",
    file: "native/cuda/attention/tile_sizes.cuh",
    find: ">= kWantedWarps ? 0 : 1",
    replace: ">= kWantedWarps ? 0 : 0",
    check: simt(backward, { filter: short, capability: "8.6" }),
    says: "attention_backward: launch failed",
  },
  {
    fault: "The name of a PTX instruction is misspelt.",
    file: "native/cuda/ptx.cuh",
    find: '"bar.sync %0, %1;"',
    replace: '"bar.synch %0, %1;"',
    check: assembler("attention/dkdv.cu"),
    says: "Unknown modifier '.synch'",
  },
];
