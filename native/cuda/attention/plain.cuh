// Attention for f32, and for bf16 with any strides and alignment: the same tiling as on tensor cores, with tiles in
// f32 in shared memory and products by multiply-add. A block is 16 x 16 threads; thread (y, x) has rows y, y + 16
// and columns x, x + 16, ... of every product; a tile is 32 rows. Tiles are padded by a column so that adjacent rows
// are in adjacent banks.
#pragma once

#include "../block_reduce.cuh"
#include "../shared.cuh"
#include "../vector.cuh"
#include "attention.h"

namespace nextpatch::cuda {

constexpr int kPlainSide = 16;
constexpr int kPlainThreads = kPlainSide * kPlainSide;
constexpr int kPlainTile = 32;
constexpr int kRows = kPlainTile / kPlainSide;          // per thread
constexpr int kMostColumns = kMaxHeadDim / kPlainSide;  // per thread, if the columns are the head dimension
constexpr int kScorePitch = kPlainTile + 1;

__device__ __forceinline__ int thread_x() { return int(threadIdx.x) % kPlainSide; }
__device__ __forceinline__ int thread_y() { return int(threadIdx.x) / kPlainSide; }

struct PlainTile {
  float* data;
  int pitch;
  __device__ float& at(int row, int column) const { return data[row * pitch + column]; }
};

// Rows from `valid` on become zeros.
template <typename T>
__device__ __forceinline__ void read_tile(const PlainTile& tile, const Heads<const T>& from, int batch, int head,
                                          int first_row, int valid, int dim) {
  for (int i = int(threadIdx.x); i < kPlainTile * dim; i += kPlainThreads) {
    const int row = i / dim, column = i % dim;
    tile.at(row, column) = row < valid ? to_float(from.at(batch, head, first_row + row)[column]) : 0.0f;
  }
}

// x[row][column] += the sum over `dim` of a[row] b[column]: scores of two tiles. Every kPlainSide terms (dim is a
// multiple) are summed separately: the backward pass subtracts nearly equal numbers, which would expose the error of a
// longer chain.
__device__ __forceinline__ void add_product_of_rows(float (&x)[kRows][kRows], const PlainTile& a, const PlainTile& b,
                                                    int dim) {
  for (int first = 0; first < dim; first += kPlainSide) {
    float part[kRows][kRows] = {};
#pragma unroll
    for (int i = first; i < first + kPlainSide; ++i)
#pragma unroll
      for (int r = 0; r < kRows; ++r)
#pragma unroll
        for (int c = 0; c < kRows; ++c)
          part[r][c] = fmaf(a.at(thread_y() + r * kPlainSide, i), b.at(thread_x() + c * kPlainSide, i), part[r][c]);
#pragma unroll
    for (int r = 0; r < kRows; ++r)
#pragma unroll
      for (int c = 0; c < kRows; ++c) x[r][c] += part[r][c];
  }
}

// A thread's share of [kPlainTile, dim].
using Sums = float[kRows][kMostColumns];

__device__ __forceinline__ void clear(Sums& x) {
#pragma unroll
  for (int r = 0; r < kRows; ++r)
#pragma unroll
    for (int c = 0; c < kMostColumns; ++c) x[r][c] = 0;
}

// x[row] += the sum over j of weights(row, j) b[j].
template <typename Weights>
__device__ __forceinline__ void add_product(Sums& x, const Weights& weights, const PlainTile& b, int dim) {
  for (int j = 0; j < kPlainTile; ++j) {
    float weight[kRows];
#pragma unroll
    for (int r = 0; r < kRows; ++r) weight[r] = weights(thread_y() + r * kPlainSide, j);
#pragma unroll
    for (int c = 0; c < kMostColumns; ++c) {
      if (c * kPlainSide >= dim) break;
      const float value = b.at(j, thread_x() + c * kPlainSide);
#pragma unroll
      for (int r = 0; r < kRows; ++r) x[r][c] = fmaf(weight[r], value, x[r][c]);
    }
  }
}

template <typename T>
__device__ __forceinline__ void write_sums(const Heads<T>& to, int batch, int head, int first_row, int valid,
                                           const Sums& x, const float (&factor)[kRows], int dim) {
#pragma unroll
  for (int r = 0; r < kRows; ++r) {
    const int row = thread_y() + r * kPlainSide;
    if (row >= valid) continue;
    T* const out = to.at(batch, head, first_row + row);
#pragma unroll
    for (int c = 0; c < kMostColumns; ++c)
      if (c * kPlainSide < dim) out[thread_x() + c * kPlainSide] = from_float<T>(x[r][c] * factor[r]);
  }
}

// A row's 16 threads are half a warp.
template <typename Combine>
__device__ __forceinline__ float across_row(float x, const Combine& combine) {
#pragma unroll
  for (int lanes = kPlainSide / 2; lanes > 0; lanes /= 2) x = combine(x, __shfl_xor_sync(kAllLanes, x, lanes));
  return x;
}

// `tiles` tiles of rows and `scores` tiles of scores, one after another in shared memory.
__device__ __forceinline__ PlainTile tile_at(int index, int dim) {
  return {shared_memory<float>() + index * kPlainTile * (dim + 1), dim + 1};
}
__device__ __forceinline__ PlainTile scores_at(int tiles, int index, int dim) {
  return {shared_memory<float>() + tiles * kPlainTile * (dim + 1) + index * kPlainTile * kScorePitch, kScorePitch};
}
inline size_t plain_shared_bytes(int tiles, int scores, int dim) {
  return size_t(tiles * (dim + 1) + scores * kScorePitch) * kPlainTile * sizeof(float);
}

}  // namespace nextpatch::cuda
