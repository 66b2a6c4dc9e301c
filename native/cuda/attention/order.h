// In which order the blocks of attention run.
//
// All blocks of one key head of one sequence, a pair, read the same rows: its keys and values, or, where dK and dV are
// summed, the queries and dout of its heads. With tiles slowest over all pairs, every pair's rows would pass through
// the cache once a tile. So blocks go by groups of pairs whose rows fit in it together, and within a group by tiles,
// those with the most work first, so that the short ones fill the end of the group.
#pragma once

#include <cuda_runtime.h>

#include <algorithm>
#include <cstdint>

namespace nextpatch::cuda {

// What a group's rows may take: half of the L2 cache of an H100 (50 MB). Blocks are independent: on devices with a
// smaller cache the order serves less well and gives the same bits.
constexpr int64_t kGroupBytes = 24 << 20;

// Division of numbers below 2^31 by a number known to the host: a product and a shift, which can keep what is the same
// in all threads in uniform registers. Attention's kernels have no others left.
class Divisor {
 public:
  explicit Divisor(unsigned divisor) : divisor_(divisor) {
    while (uint64_t(1) << shift_ < divisor) ++shift_;
    factor_ = unsigned(((uint64_t(1) << 32) * ((uint64_t(1) << shift_) - divisor)) / divisor + 1);
  }
  __device__ unsigned quotient(unsigned x) const { return (__umulhi(x, factor_) + x) >> shift_; }
  __device__ unsigned remainder(unsigned x) const { return x - quotient(x) * divisor_; }

 private:
  unsigned divisor_, factor_ = 0, shift_ = 0;
};

struct AttentionBlock {
  bool exists;  // the last group may have fewer pairs
  int batch, kv_head;
  int head;  // of those that share the key head, from 0
  int tile;  // in the order in which they are to run
};

class AttentionOrder {
 public:
  // heads: that have blocks of their own in a pair. shared_bytes: of all that a pair's blocks read in common.
  AttentionOrder(int64_t batch, int64_t kv_heads, int64_t heads, int64_t tiles, int64_t shared_bytes)
      : kv_heads_(unsigned(kv_heads)), heads_(unsigned(heads)), pairs_(unsigned(batch * kv_heads)) {
    const int64_t most = std::max<int64_t>(1, kGroupBytes / std::max<int64_t>(1, shared_bytes));
    const int64_t pairs = batch * kv_heads, groups = (pairs + most - 1) / most;
    group_ = unsigned((pairs + groups - 1) / groups);
    // Neither y nor z comes to the limit of 65535: that many groups would be of a terabyte.
    grid = dim3(group_ * unsigned(heads), unsigned(tiles), unsigned(groups));
  }

  __device__ AttentionBlock block() const {
    const unsigned pair = blockIdx.z * group_ + heads_.quotient(blockIdx.x);
    return {pair < pairs_, int(kv_heads_.quotient(pair)), int(kv_heads_.remainder(pair)),
            int(heads_.remainder(blockIdx.x)), int(blockIdx.y)};
  }

  __device__ int last_tile() const { return int(grid.y) - 1; }

  dim3 grid;

 private:
  Divisor kv_heads_, heads_;
  unsigned pairs_;
  unsigned group_;  // pairs of a group
};

}  // namespace nextpatch::cuda
