// How attention is cut for warpgroups (compute capability 9.0). A warpgroup has 64 rows; its sums, a tile of scores
// and the operands that run must fit into its registers: 65536 of a multiprocessor for all its threads. What is
// written here was the fastest of what was tried on an H200 (docs/cuda.md).
#pragma once

#include <cstddef>

namespace nextpatch::cuda {

// Groups: warpgroups of a block. Columns: of a tile of scores, 64 or 128. Blocks: of a multiprocessor, that registers
// are kept for. Held: the rows that a group keeps are in its registers, else they are read from shared memory with
// every product.
template <int Groups, int Columns, int Blocks, bool Held>
struct WarpgroupSize {
  static constexpr int kGroups = Groups, kColumns = Columns, kBlocks = Blocks;
  static constexpr bool kHeld = Held;
  static constexpr int kThreads = Groups * 128, kRows = Groups * 64;

  // q, and two tiles of k and of v.
  static constexpr size_t forward_bytes(int head_dim) { return size_t(kRows + 4 * Columns) * head_dim * 2; }
  // k and v; two stages of q and dout, with their rows' lse and delta.
  static constexpr size_t key_gradient_bytes(int head_dim) {
    return size_t(2 * kRows + 4 * Columns) * head_dim * 2 + size_t(4 * Columns) * sizeof(float);
  }
  // q and dout, and two stages of k and v.
  static constexpr size_t query_gradient_bytes(int head_dim) { return size_t(2 * kRows + 4 * Columns) * head_dim * 2; }
};

template <int HeadDim>
struct WarpgroupSizes;
template <>
struct WarpgroupSizes<64> {
  using Forward = WarpgroupSize<2, 64, 2, true>;
  using KeyGradient = WarpgroupSize<3, 64, 1, false>;
  using QueryGradient = WarpgroupSize<2, 64, 2, false>;
};
template <>
struct WarpgroupSizes<128> {
  using Forward = WarpgroupSize<3, 64, 1, false>;
  using KeyGradient = WarpgroupSize<2, 64, 1, false>;
  using QueryGradient = WarpgroupSize<3, 64, 1, false>;
};

}  // namespace nextpatch::cuda
