// The order in which the blocks of attention run.
//
// Blocks are ordered by groups of pairs and, within a group, by tiles, those with the most work first. A pair is one
// key head of one sequence: all its blocks read the same rows, its keys and values or, for dK and dV, the queries and
// dout of its heads. If tiles were the slowest index over all pairs, every pair's rows would pass through the cache
// once per tile. The rows of a group fit in the cache together; the short tiles fill the end of the group.
#pragma once

#include <cuda_runtime.h>

#include <algorithm>
#include <cstdint>
#include <string>

#include "../../core/error.h"

namespace nextpatch::cuda {

// The most blocks of a grid in y and in z.
constexpr int64_t kMostGridRows = 65535;

// Tiles of so many rows that cover the positions of a sequence; throws an Error for more than a grid has in y.
inline int64_t tiles_of(int64_t positions, int64_t rows) {
  if (positions > kMostGridRows * rows)
    throw Error(ErrorKind::range, "attention: expected at most " + std::to_string(kMostGridRows * rows) +
                                      " positions of this head dimension and dtype but received " +
                                      std::to_string(positions));
  return (positions + rows - 1) / rows;
}

// The limit for a group's rows: half of the L2 cache of an H100 (50 MB). Blocks are independent: on devices with a
// smaller cache the order helps less and gives the same bits.
constexpr int64_t kGroupBytes = 24 << 20;

// Division of numbers below 2^31 by a number known to the host: a product and a shift. Values equal in all threads can
// stay in uniform registers; attention's kernels have no other registers left.
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
  int head;  // among those that share the key head, from 0
  int tile;  // in the order in which they run
};

class AttentionOrder {
 public:
  // heads: number with separate blocks in a pair. shared_bytes: of all rows that a pair's blocks read in common.
  AttentionOrder(int64_t batch, int64_t kv_heads, int64_t heads, int64_t tiles, int64_t shared_bytes)
      : kv_heads_(unsigned(kv_heads)), heads_(unsigned(heads)), pairs_(unsigned(batch * kv_heads)) {
    const int64_t most = std::max<int64_t>(1, kGroupBytes / std::max<int64_t>(1, shared_bytes));
    const int64_t pairs = batch * kv_heads, groups = (pairs + most - 1) / most;
    group_ = unsigned((pairs + groups - 1) / groups);
    // Groups do not reach the limit of z: so many would take a terabyte. tiles_of keeps to that of y.
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
  unsigned group_;  // pairs per group
};

}  // namespace nextpatch::cuda
