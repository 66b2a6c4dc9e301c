// Sums over rows that several threads share: each block of rows is summed into a row of its own first.
#pragma once

#include <algorithm>

#include "lanes.h"
#include "parallel.h"

namespace nextpatch::cpu {

// out[cols] += the sum of partial[blocks, cols], a column by one thread, which adds the blocks in order.
inline void add_partials(float* out, const float* partial, int64_t blocks, int64_t cols) {
  parallel_for((cols + kLanes - 1) / kLanes, blocks * kLanes, [=](int64_t group) {
    const int64_t column = group * kLanes;
    for_lanes(std::min<int64_t>(kLanes, cols - column), [=](int64_t, auto lanes) {
      Vec sum = {};
      for (int64_t block = 0; block < blocks; ++block) sum += load(partial + block * cols + column, lanes);
      store(out + column, load(out + column, lanes) + sum, lanes);
    });
  });
}

}  // namespace nextpatch::cpu
