// How attention is cut for warpgroups (compute capability 9.0): what was the fastest of what was tried on an H200. A
// warpgroup has 64 rows; its sums, a tile of scores and the operands of running products must fit into its registers,
// of which a multiprocessor has 65536 for all its threads. Host code only beside constants: bench/occupancy compiles it
// alone.
#pragma once

#include <cstddef>
#include <utility>

#include "../../core/limits.h"

namespace nextpatch::cuda {

// Columns in shared memory: whole panels of 64 (warpgroup.cuh).
constexpr int padded_head_dim(int head_dim) { return (head_dim + 63) / 64 * 64; }

// Groups: warpgroups of a block. Columns: of a tile of scores, 64 or 128. Blocks: of a multiprocessor, that registers
// are kept for. Stages: tiles of the other operand in shared memory.
template <int Groups, int Columns, int Blocks, int Stages = 2>
struct WarpgroupSize {
  static constexpr int kColumns = Columns, kBlocks = Blocks, kStages = Stages;
  static constexpr int kThreads = Groups * 128, kRows = Groups * 64;

  // q, and stages of k and v.
  static constexpr size_t forward_bytes(int head_dim) { return bytes(kRows + 2 * Stages * Columns, head_dim); }
  // k and v, and stages of q and dout with their rows' lse and delta.
  static constexpr size_t key_gradient_bytes(int head_dim) {
    return query_gradient_bytes(head_dim) + size_t(2 * Stages * Columns) * sizeof(float);
  }
  // q and dout, and stages of k and v.
  static constexpr size_t query_gradient_bytes(int head_dim) {
    return bytes(2 * kRows + 2 * Stages * Columns, head_dim);
  }

 private:
  static constexpr size_t bytes(int rows, int head_dim) { return size_t(rows) * padded_head_dim(head_dim) * 2; }
};

template <int HeadDim>
struct WarpgroupSizes;
template <>
struct WarpgroupSizes<64> {
  using Forward = WarpgroupSize<1, 64, 4>;
  using KeyGradient = WarpgroupSize<2, 128, 1>;
  using QueryGradient = WarpgroupSize<2, 64, 2>;
};
template <>
struct WarpgroupSizes<128> {
  using Forward = WarpgroupSize<2, 128, 1>;
  using KeyGradient = WarpgroupSize<1, 64, 2>;
  using QueryGradient = WarpgroupSize<3, 64, 1, 3>;
};

// Not timed yet.
template <>
struct WarpgroupSizes<80> : WarpgroupSizes<128> {};
template <>
struct WarpgroupSizes<96> : WarpgroupSizes<128> {};

using WarpgroupHeadDims = std::integer_sequence<int, 64, 80, 96, 128>;
constexpr bool has_warpgroup_sizes(int head_dim) { return is_one_of(WarpgroupHeadDims{}, head_dim); }

}  // namespace nextpatch::cuda
