// The softmax of rows that arrive in tiles of columns, and the mask.
#pragma once

#include "../block_reduce.cuh"
#include "attention.h"
#include "product.cuh"

namespace nextpatch::cuda {

// The mask of a tile: its first query sees the tile's keys up to number `last`, each further query one more; each
// sees at most `window`.
__device__ __forceinline__ bool hides_all(int queries, int keys, int last, int window) {
  // last + queries - 1 < 0 || last - window >= keys - 1, in one comparison: the forward at D = 64 has no register more.
  return unsigned(last + queries - 1) >= unsigned(window) + unsigned(keys + queries - 2);
}
__device__ __forceinline__ bool hides_some(int queries, int keys, int last, int window) {
  return last < keys - 1 || last + queries - 1 >= window;
}

// Scores of keys hidden from a query become -inf; rows are queries.
template <int Slabs, int Tiles>
__device__ __forceinline__ void mask(float (&scores)[Slabs][Tiles][4], int last, int window) {
  const int lane = int(threadIdx.x) % 32;
  // The lane's offsets, moved to one side of the comparison: of the keys back from the last one that is seen, counted
  // from 0, those before `window` are seen.
  const int bound = last + lane / 4 - lane % 4 * 2;
  each_element(scores, [&](float& score, int slab, int half, int column) {
    if (unsigned(bound + slab * 16 + half * 8 - column) >= unsigned(window)) score = -INFINITY;
  });
}

// Scores of keys before a query's window become -inf; rows are keys, and column c is a query that does not see those
// up to c + hidden.
template <int Slabs, int Tiles>
__device__ __forceinline__ void mask_before_window(float (&scores)[Slabs][Tiles][4], int hidden) {
  const int lane = int(threadIdx.x) % 32;
  const int bound = hidden + lane % 4 * 2 - lane / 4;
  each_element(scores, [&](float& score, int slab, int half, int column) {
    if (slab * 16 + half * 8 <= column + bound) score = -INFINITY;
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

  // Turns scores into exp2(scale * (score - the row's largest so far)), and rescales `out`, which was summed with the
  // previous largest, to match. scale > 0.
  template <int Tiles, int Columns>
  __device__ __forceinline__ void next(float (&scores)[Slabs][Tiles][4], float (&out)[Slabs][Columns][4], float scale) {
#pragma unroll
    for (int slab = 0; slab < Slabs; ++slab)
#pragma unroll
      for (int half = 0; half < 2; ++half) rescale_half(out[slab], half, next_half(scores[slab], slab, half, scale));
  }
  // The same, for an `out` that is still summed: rescale() it before anything more is added.
  template <int Tiles>
  __device__ __forceinline__ void next(float (&scores)[Slabs][Tiles][4], float scale) {
#pragma unroll
    for (int slab = 0; slab < Slabs; ++slab)
#pragma unroll
      for (int half = 0; half < 2; ++half) rescale_[slab][half] = next_half(scores[slab], slab, half, scale);
  }
  template <int Columns>
  __device__ __forceinline__ void rescale(float (&out)[Slabs][Columns][4]) const {
#pragma unroll
    for (int slab = 0; slab < Slabs; ++slab)
#pragma unroll
      for (int half = 0; half < 2; ++half) rescale_half(out[slab], half, rescale_[slab][half]);
  }

  // So far each lane has summed only its own columns.
  __device__ __forceinline__ void finish() {
#pragma unroll
    for (int slab = 0; slab < Slabs; ++slab)
#pragma unroll
      for (int half = 0; half < 2; ++half) {
        sum_[slab][half] += __shfl_xor_sync(kAllLanes, sum_[slab][half], 1);
        sum_[slab][half] += __shfl_xor_sync(kAllLanes, sum_[slab][half], 2);
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
  // Of one row of this lane; returns the factor for what was summed before.
  template <int Tiles>
  __device__ __forceinline__ float next_half(float (&scores)[Tiles][4], int slab, int half, float scale) {
    float largest = max_[slab][half];
#pragma unroll
    for (int tile = 0; tile < Tiles; ++tile)
      largest = fmaxf(largest, fmaxf(scores[tile][half * 2], scores[tile][half * 2 + 1]));
    // The four lanes of a row.
    largest = fmaxf(largest, __shfl_xor_sync(kAllLanes, largest, 1));
    largest = fmaxf(largest, __shfl_xor_sync(kAllLanes, largest, 2));
    // A row without keys so far: any finite number gives exp2(-inf) = 0, not NaN.
    // The product is rounded separately, so that an unchanged largest rescales by exactly 1.
    const float shift = largest == -INFINITY ? 0 : __fmul_rn(largest, scale);
    const float factor = exp2_approx(__fmul_rn(max_[slab][half], scale) - shift);
    max_[slab][half] = largest;
    sum_[slab][half] *= factor;
#pragma unroll
    for (int tile = 0; tile < Tiles; ++tile)
#pragma unroll
      for (int i = half * 2; i < half * 2 + 2; ++i) {
        scores[tile][i] = exp2_approx(scores[tile][i] * scale - shift);
        sum_[slab][half] += scores[tile][i];
      }
    return factor;
  }
  template <int Columns>
  static __device__ __forceinline__ void rescale_half(float (&out)[Columns][4], int half, float factor) {
#pragma unroll
    for (int column = 0; column < Columns; ++column)
#pragma unroll
      for (int i = half * 2; i < half * 2 + 2; ++i) out[column][i] *= factor;
  }

  float max_[Slabs][2], sum_[Slabs][2], rescale_[Slabs][2];
};

}  // namespace nextpatch::cuda
