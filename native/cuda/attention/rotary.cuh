// The inverse rotary embedding of a warp's accumulators, before they are rounded and stored: it saves a kernel that
// would read and write the gradient once more.
#pragma once

#include "../vector.cuh"
#include "product.cuh"

namespace nextpatch::cuda {

// Row r of x belongs to position first + r; rows from `valid` on do not exist. table[positions, D/2, 2]. An element and
// the one D/2 further, with which it turns, are in the same lane.
template <int D, int Slabs>
__device__ __forceinline__ void turn_back(float (&x)[Slabs][D / 8][4], const float* table, int first, int valid) {
  constexpr int kHalf = D / 16;  // products that the lower half of a row has
  const int lane = int(threadIdx.x) % 32;
#pragma unroll
  for (int slab = 0; slab < Slabs; ++slab) {
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      const int row = slab * 16 + half * 8 + lane / 4;
      if (row >= valid) continue;
      const float* const turns = table + int64_t(first + row) * D + lane % 4 * 4;
#pragma unroll
      for (int n = 0; n < kHalf; ++n) {
        const auto cos_sin = load<float, 4>(turns + n * 16);
#pragma unroll
        for (int j = 0; j < 2; ++j) {
          float &low = x[slab][n][half * 2 + j], &high = x[slab][n + kHalf][half * 2 + j];
          const float cos = cos_sin.at[2 * j], sin = cos_sin.at[2 * j + 1], before = low;
          low = before * cos + high * sin;
          high = high * cos - before * sin;
        }
      }
    }
  }
}

}  // namespace nextpatch::cuda
