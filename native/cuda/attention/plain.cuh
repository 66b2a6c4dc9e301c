// Attention for f32, and for bf16 with any strides and alignment: the same tiling as on tensor cores, with tiles in
// f32 in shared memory and products by multiply-add. A block is 16 x 16 threads; thread (y, x) has rows y, y + 16
// and columns x, x + 16, ... of every product. A tile is 32 rows, or 16 for D > 128, so that a thread's share of a sum
// is 16 elements and four tiles fit into 99 KB. Tiles are padded by a column so that adjacent rows are in adjacent
// banks.
#pragma once

#include "../block_reduce.cuh"
#include "../shared.cuh"
#include "../vector.cuh"
#include "attention.h"

namespace nextpatch::cuda {

constexpr int kPlainSide = 16;
constexpr int kPlainThreads = kPlainSide * kPlainSide;

// Rows: of a thread.
template <int Rows>
constexpr int kPlainTile = Rows * kPlainSide;
// Columns of a thread, if the columns are the head dimension.
template <int Rows>
constexpr int kMostColumns = 16 / Rows;
static_assert(kMostColumns<1> * kPlainSide == kMaxHeadDim);

inline int plain_rows(int head_dim) { return head_dim <= kMostColumns<2> * kPlainSide ? 2 : 1; }
// Calls f with plain_rows(head_dim) as a constant.
template <typename F>
void with_plain_rows(int head_dim, const F& f) {
  with_one_of(std::integer_sequence<int, 1, 2>{}, plain_rows(head_dim), f);
}

__device__ __forceinline__ int thread_x() { return int(threadIdx.x) % kPlainSide; }
__device__ __forceinline__ int thread_y() { return int(threadIdx.x) / kPlainSide; }

struct PlainTile {
  float* data;
  int pitch;
  __device__ float& at(int row, int column) const { return data[row * pitch + column]; }
};

// Rows from `valid` on become zeros.
template <int Rows, typename T>
__device__ __forceinline__ void read_tile(const PlainTile& tile, const Heads<const T>& from, int batch, int head,
                                          int first_row, int valid, int dim) {
  for (int i = int(threadIdx.x); i < kPlainTile<Rows> * dim; i += kPlainThreads) {
    const int row = i / dim, column = i % dim;
    tile.at(row, column) = row < valid ? to_float(from.at(batch, head, first_row + row)[column]) : 0.0f;
  }
}

// x[row][column] += the sum over `dim` of a[row] b[column]: scores of two tiles. Every kPlainSide terms (dim is a
// multiple) are summed separately: the backward pass subtracts nearly equal numbers, which would expose the error of a
// longer chain.
template <int Rows>
__device__ __forceinline__ void add_product_of_rows(float (&x)[Rows][Rows], const PlainTile& a, const PlainTile& b,
                                                    int dim) {
  for (int first = 0; first < dim; first += kPlainSide) {
    float part[Rows][Rows] = {};
#pragma unroll
    for (int i = first; i < first + kPlainSide; ++i)
#pragma unroll
      for (int r = 0; r < Rows; ++r)
#pragma unroll
        for (int c = 0; c < Rows; ++c)
          part[r][c] = fmaf(a.at(thread_y() + r * kPlainSide, i), b.at(thread_x() + c * kPlainSide, i), part[r][c]);
#pragma unroll
    for (int r = 0; r < Rows; ++r)
#pragma unroll
      for (int c = 0; c < Rows; ++c) x[r][c] += part[r][c];
  }
}

// A thread's share of [kPlainTile, dim].
template <int Rows>
using Sums = float[Rows][kMostColumns<Rows>];

template <int Rows>
__device__ __forceinline__ void clear(float (&x)[Rows][kMostColumns<Rows>]) {
#pragma unroll
  for (int r = 0; r < Rows; ++r)
#pragma unroll
    for (int c = 0; c < kMostColumns<Rows>; ++c) x[r][c] = 0;
}

// x[row] += the sum over j of weights(row, j) b[j].
template <int Rows, typename Weights>
__device__ __forceinline__ void add_product(float (&x)[Rows][kMostColumns<Rows>], const Weights& weights,
                                            const PlainTile& b, int dim) {
  for (int j = 0; j < kPlainTile<Rows>; ++j) {
    float weight[Rows];
#pragma unroll
    for (int r = 0; r < Rows; ++r) weight[r] = weights(thread_y() + r * kPlainSide, j);
#pragma unroll
    for (int c = 0; c < kMostColumns<Rows>; ++c) {
      if (c * kPlainSide >= dim) break;
      const float value = b.at(j, thread_x() + c * kPlainSide);
#pragma unroll
      for (int r = 0; r < Rows; ++r) x[r][c] = fmaf(weight[r], value, x[r][c]);
    }
  }
}

template <int Rows, typename T>
__device__ __forceinline__ void write_sums(const Heads<T>& to, int batch, int head, int first_row, int valid,
                                           const float (&x)[Rows][kMostColumns<Rows>], const float (&factor)[Rows],
                                           int dim) {
#pragma unroll
  for (int r = 0; r < Rows; ++r) {
    const int row = thread_y() + r * kPlainSide;
    if (row >= valid) continue;
    T* const out = to.at(batch, head, first_row + row);
#pragma unroll
    for (int c = 0; c < kMostColumns<Rows>; ++c)
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
template <int Rows>
__device__ __forceinline__ PlainTile tile_at(int index, int dim) {
  return {shared_memory<float>() + index * kPlainTile<Rows> * (dim + 1), dim + 1};
}
template <int Rows>
__device__ __forceinline__ PlainTile scores_at(int tiles, int index, int dim) {
  constexpr int kTile = kPlainTile<Rows>, kPitch = kTile + 1;
  return {shared_memory<float>() + tiles * kTile * (dim + 1) + index * kTile * kPitch, kPitch};
}
template <int Rows>
size_t plain_shared_bytes(int tiles, int scores, int dim) {
  constexpr int kTile = kPlainTile<Rows>;
  return size_t(tiles * (dim + 1) + scores * (kTile + 1)) * kTile * sizeof(float);
}

}  // namespace nextpatch::cuda
