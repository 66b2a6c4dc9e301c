// The softmax of rows that arrive in tiles of columns, and the causal mask.
#pragma once

#include "attention.h"
#include "product.cuh"

namespace nextpatch::cuda {

// Scores of keys hidden from a query become -inf: row r of the warp sees the columns c <= r + last.
template <int Slabs, int Tiles>
__device__ __forceinline__ void mask_after(float (&scores)[Slabs][Tiles][4], int last) {
  const int lane = int(threadIdx.x) % 32;
  // The lane's offsets, moved to one side of the comparison.
  const int bound = last + lane / 4 - lane % 4 * 2;
  each_element(scores, [&](float& score, int slab, int half, int column) {
    if (column > slab * 16 + half * 8 + bound) score = -INFINITY;
  });
}

template <int Slabs>
class OnlineSoftmax {
 public:
  __device__ __forceinline__ OnlineSoftmax() {
#pragma unroll
    for (int slab = 0; slab < Slabs; ++slab)
#pragma unroll
      for (int half = 0; half < 2; ++half) {
        max_[slab][half] = -INFINITY;
        sum_[slab][half] = 0;
      }
  }

  // Turns scores into exp2(scale * (score - the row's largest so far)). scale > 0. What was summed with the previous
  // largest must then be rescaled.
  template <int Tiles>
  __device__ __forceinline__ void next(float (&scores)[Slabs][Tiles][4], float scale) {
#pragma unroll
    for (int slab = 0; slab < Slabs; ++slab)
#pragma unroll
      for (int half = 0; half < 2; ++half) {
        float largest = max_[slab][half];
#pragma unroll
        for (int tile = 0; tile < Tiles; ++tile)
          largest = fmaxf(largest, fmaxf(scores[slab][tile][half * 2], scores[slab][tile][half * 2 + 1]));
        // The four lanes of a row.
        largest = fmaxf(largest, __shfl_xor_sync(0xffffffffu, largest, 1));
        largest = fmaxf(largest, __shfl_xor_sync(0xffffffffu, largest, 2));
        // A row without keys so far: any finite number gives exp2(-inf) = 0, not NaN.
        // The product is rounded separately, so that an unchanged largest rescales by exactly 1.
        const float shift = largest == -INFINITY ? 0 : __fmul_rn(largest, scale);
        rescale_[slab][half] = exp2_approx(__fmul_rn(max_[slab][half], scale) - shift);
        max_[slab][half] = largest;
        sum_[slab][half] *= rescale_[slab][half];
#pragma unroll
        for (int tile = 0; tile < Tiles; ++tile)
#pragma unroll
          for (int i = half * 2; i < half * 2 + 2; ++i) {
            scores[slab][tile][i] = exp2_approx(scores[slab][tile][i] * scale - shift);
            sum_[slab][half] += scores[slab][tile][i];
          }
      }
  }

  // `out`, which was summed before the last next(), to match.
  template <int Columns>
  __device__ __forceinline__ void rescale(float (&out)[Slabs][Columns][4]) const {
#pragma unroll
    for (int slab = 0; slab < Slabs; ++slab)
#pragma unroll
      for (int half = 0; half < 2; ++half)
#pragma unroll
        for (int column = 0; column < Columns; ++column)
#pragma unroll
          for (int i = half * 2; i < half * 2 + 2; ++i) out[slab][column][i] *= rescale_[slab][half];
  }

  // So far each lane has summed only its own columns.
  __device__ __forceinline__ void finish() {
#pragma unroll
    for (int slab = 0; slab < Slabs; ++slab)
#pragma unroll
      for (int half = 0; half < 2; ++half) {
        sum_[slab][half] += __shfl_xor_sync(0xffffffffu, sum_[slab][half], 1);
        sum_[slab][half] += __shfl_xor_sync(0xffffffffu, sum_[slab][half], 2);
      }
  }

  // The factor for the row of `out`. A row without keys gives zeros.
  __device__ __forceinline__ float normalizer(int slab, int half) const {
    return sum_[slab][half] == 0 ? 0 : 1 / sum_[slab][half];
  }

  // log of the sum of exponentials; -inf for a row without keys.
  __device__ __forceinline__ float log_sum_exp(int slab, int half, float scale) const {
    return sum_[slab][half] == 0 ? -INFINITY : kLn2 * (__fmul_rn(max_[slab][half], scale) + log2f(sum_[slab][half]));
  }

 private:
  float max_[Slabs][2], sum_[Slabs][2], rescale_[Slabs][2];
};

}  // namespace nextpatch::cuda
