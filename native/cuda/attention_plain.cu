// Attention for f32, and for bf16 in any strides and alignment: the same tiling as on tensor cores, with tiles in
// f32 in shared memory and products by multiply-add. A block is 16 x 16 threads; thread (y, x) has rows y, y + 16
// and columns x, x + 16, ... of every product, a tile is 32 rows, and tiles are padded by a column so that
// neighbouring rows lie in neighbouring banks.
#include "attention.h"
#include "block_reduce.cuh"
#include "cuda_kernels.h"
#include "dispatch.h"
#include "launch.cuh"
#include "shared.cuh"
#include "vector.cuh"

namespace nextpatch::cuda {
namespace {

constexpr int kSide = 16;
constexpr int kThreads = kSide * kSide;
constexpr int kTile = 32;
constexpr int kRows = kTile / kSide;           // of a thread
constexpr int kMostColumns = 128 / kSide;      // of a thread, where the columns are the head dimension
constexpr int kScorePitch = kTile + 1;

__device__ __forceinline__ int thread_x() { return int(threadIdx.x) % kSide; }
__device__ __forceinline__ int thread_y() { return int(threadIdx.x) / kSide; }

struct PlainTile {
  float* data;
  int pitch;
  __device__ float& at(int row, int column) const { return data[row * pitch + column]; }
};

// Rows from `valid` on become zeros.
template <typename T>
__device__ void read_tile(const PlainTile& tile, const Heads<const T>& from, int batch, int head, int first_row,
                          int valid, int dim) {
  for (int i = int(threadIdx.x); i < kTile * dim; i += kThreads) {
    const int row = i / dim, column = i % dim;
    tile.at(row, column) = row < valid ? to_float(from.at(batch, head, first_row + row)[column]) : 0.0f;
  }
}

// x[row][column] += the sum over `dim` of a[row] b[column]: scores of two tiles. Every kSide terms (dim is a
// multiple) are summed apart: the backward pass subtracts numbers that are nearly equal, and would show the error of
// a longer chain.
__device__ __forceinline__ void add_product_of_rows(float (&x)[kRows][kRows], const PlainTile& a, const PlainTile& b,
                                                    int dim) {
  for (int first = 0; first < dim; first += kSide) {
    float part[kRows][kRows] = {};
#pragma unroll
    for (int i = first; i < first + kSide; ++i)
#pragma unroll
      for (int r = 0; r < kRows; ++r)
#pragma unroll
        for (int c = 0; c < kRows; ++c)
          part[r][c] = fmaf(a.at(thread_y() + r * kSide, i), b.at(thread_x() + c * kSide, i), part[r][c]);
#pragma unroll
    for (int r = 0; r < kRows; ++r)
#pragma unroll
      for (int c = 0; c < kRows; ++c) x[r][c] += part[r][c];
  }
}

// A thread's share of [kTile, dim].
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
  for (int j = 0; j < kTile; ++j) {
    float weight[kRows];
#pragma unroll
    for (int r = 0; r < kRows; ++r) weight[r] = weights(thread_y() + r * kSide, j);
#pragma unroll
    for (int c = 0; c < kMostColumns; ++c) {
      if (c * kSide >= dim) break;
      const float value = b.at(j, thread_x() + c * kSide);
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
    const int row = thread_y() + r * kSide;
    if (row >= valid) continue;
    T* const out = to.at(batch, head, first_row + row);
#pragma unroll
    for (int c = 0; c < kMostColumns; ++c)
      if (c * kSide < dim) out[thread_x() + c * kSide] = from_float<T>(x[r][c] * factor[r]);
  }
}

// A row's 16 threads are half a warp.
template <typename Combine>
__device__ __forceinline__ float across_row(float x, const Combine& combine) {
#pragma unroll
  for (int lanes = kSide / 2; lanes > 0; lanes /= 2) x = combine(x, __shfl_xor_sync(kAllLanes, x, lanes));
  return x;
}

// `tiles` tiles of rows and `scores` of scores, one behind the other in shared memory.
__device__ __forceinline__ PlainTile tile_at(int index, int dim) {
  return {shared_memory<float>() + index * kTile * (dim + 1), dim + 1};
}
__device__ __forceinline__ PlainTile scores_at(int tiles, int index, int dim) {
  return {shared_memory<float>() + tiles * kTile * (dim + 1) + index * kTile * kScorePitch, kScorePitch};
}
size_t shared_bytes(int tiles, int scores, int dim) {
  return size_t(tiles * (dim + 1) + scores * kScorePitch) * kTile * sizeof(float);
}

// Grid: tiles of queries, heads, sequences. Shared: q, k, v; scores.
template <typename T>
__global__ void __launch_bounds__(kThreads)
attention_plain_kernel(Heads<T> out, float* lse, Heads<const T> q, Heads<const T> k, Heads<const T> v,
                       AttentionShape shape) {
  const int dim = shape.head_dim, first_row = int(blockIdx.x) * kTile;
  const int head = int(blockIdx.y), batch = int(blockIdx.z), kv_head = head / shape.group();
  const int rows = min(kTile, shape.queries - first_row);
  const int seen_keys = min(shape.keys, max(0, first_row + rows + shape.offset()));
  const PlainTile q_tile = tile_at(0, dim), k_tile = tile_at(1, dim), v_tile = tile_at(2, dim);
  const PlainTile p_tile = scores_at(3, 0, dim);
  read_tile(q_tile, q, batch, head, first_row, rows, dim);
  float largest[kRows], total[kRows];
  for (int r = 0; r < kRows; ++r) {
    largest[r] = -INFINITY;
    total[r] = 0;
  }
  Sums sum;
  clear(sum);
  for (int first_key = 0; first_key < seen_keys; first_key += kTile) {
    __syncthreads();
    read_tile(k_tile, k, batch, kv_head, first_key, shape.keys - first_key, dim);
    read_tile(v_tile, v, batch, kv_head, first_key, shape.keys - first_key, dim);
    __syncthreads();
    float scores[kRows][kRows] = {};
    add_product_of_rows(scores, q_tile, k_tile, dim);
#pragma unroll
    for (int r = 0; r < kRows; ++r) {
      const int row = thread_y() + r * kSide, last = first_row + row + shape.offset() - first_key;
      float most = largest[r];
      for (int c = 0; c < kRows; ++c) {
        const int column = thread_x() + c * kSide;
        scores[r][c] = column <= last ? scores[r][c] * shape.scale : -INFINITY;
        most = fmaxf(most, scores[r][c]);
      }
      most = across_row(most, [](float a, float b) { return fmaxf(a, b); });
      // A row that has seen no key yet: any finite number gives exp(-inf) = 0, not NaN.
      const float shift = most == -INFINITY ? 0 : most;
      const float rescale = expf(largest[r] - shift);
      largest[r] = most;
      float added = 0;
      for (int c = 0; c < kRows; ++c) {
        const float p = expf(scores[r][c] - shift);
        p_tile.at(row, thread_x() + c * kSide) = p;
        added += p;
      }
      total[r] = total[r] * rescale + across_row(added, [](float a, float b) { return a + b; });
#pragma unroll
      for (int c = 0; c < kMostColumns; ++c) sum[r][c] *= rescale;
    }
    __syncwarp();  // rows of scores are read by the warp that wrote them
    add_product(sum, [&](int row, int j) { return p_tile.at(row, j); }, v_tile, dim);
  }
  float factor[kRows];
#pragma unroll
  for (int r = 0; r < kRows; ++r) {
    const int row = thread_y() + r * kSide;
    factor[r] = total[r] == 0 ? 0 : 1 / total[r];
    if (thread_x() == 0 && row < rows)
      lse[(int64_t(batch) * shape.heads + head) * shape.queries + first_row + row] =
          total[r] == 0 ? -INFINITY : largest[r] + logf(total[r]);
  }
  write_sums(out, batch, head, first_row, rows, sum, factor, dim);
}

// P and dS of a tile of queries and a tile of keys.
__device__ __forceinline__ void recompute(const PlainTile& p_tile, const PlainTile& ds_tile, const PlainTile& q_tile,
                                          const PlainTile& k_tile, const PlainTile& v_tile, const PlainTile& dout_tile,
                                          const float* lse, const float* delta, int offset, const AttentionShape& shape) {
  float p[kRows][kRows] = {}, ds[kRows][kRows];
  add_product_of_rows(p, q_tile, k_tile, shape.head_dim);
  // dP - delta, from -delta on: partial sums are then the smaller the later they are rounded.
#pragma unroll
  for (int r = 0; r < kRows; ++r)
#pragma unroll
    for (int c = 0; c < kRows; ++c) ds[r][c] = -delta[thread_y() + r * kSide];
  add_product_of_rows(ds, dout_tile, v_tile, shape.head_dim);
#pragma unroll
  for (int r = 0; r < kRows; ++r) {
    const int row = thread_y() + r * kSide;
#pragma unroll
    for (int c = 0; c < kRows; ++c) {
      const int column = thread_x() + c * kSide;
      const float probability = column <= row + offset ? expf(p[r][c] * shape.scale - lse[row]) : 0;
      p_tile.at(row, column) = probability;
      ds_tile.at(row, column) = probability * ds[r][c];
    }
  }
}

// Grid: tiles of queries, heads, sequences. Shared: q, dout, k, v; P, dS.
template <typename T>
__global__ void __launch_bounds__(kThreads)
attention_plain_dq_kernel(Heads<T> dq, Heads<const T> dout, Heads<const T> q, Heads<const T> k, Heads<const T> v,
                          RowStatistics statistics, AttentionShape shape) {
  const int dim = shape.head_dim, first_row = int(blockIdx.x) * kTile;
  const int head = int(blockIdx.y), batch = int(blockIdx.z), kv_head = head / shape.group();
  const int rows = min(kTile, shape.queries - first_row);
  const int seen_keys = min(shape.keys, max(0, first_row + rows + shape.offset()));
  const PlainTile q_tile = tile_at(0, dim), dout_tile = tile_at(1, dim);
  const PlainTile k_tile = tile_at(2, dim), v_tile = tile_at(3, dim);
  const PlainTile p_tile = scores_at(4, 0, dim), ds_tile = scores_at(4, 1, dim);
  const int64_t at = (int64_t(batch) * shape.heads + head) * statistics.padded + first_row;
  read_tile(q_tile, q, batch, head, first_row, rows, dim);
  read_tile(dout_tile, dout, batch, head, first_row, rows, dim);
  Sums sum;
  clear(sum);
  for (int first_key = 0; first_key < seen_keys; first_key += kTile) {
    __syncthreads();
    read_tile(k_tile, k, batch, kv_head, first_key, shape.keys - first_key, dim);
    read_tile(v_tile, v, batch, kv_head, first_key, shape.keys - first_key, dim);
    __syncthreads();
    recompute(p_tile, ds_tile, q_tile, k_tile, v_tile, dout_tile, statistics.lse + at, statistics.delta + at,
              first_row + shape.offset() - first_key, shape);
    __syncwarp();
    add_product(sum, [&](int row, int j) { return ds_tile.at(row, j); }, k_tile, dim);
  }
  const float factor[kRows] = {shape.scale, shape.scale};
  write_sums(dq, batch, head, first_row, rows, sum, factor, dim);
}

// Grid: tiles of keys, key heads, sequences. Shared: as for dq. The heads of the group are summed in order.
template <typename T>
__global__ void __launch_bounds__(kThreads)
attention_plain_dkdv_kernel(Heads<T> dk, Heads<T> dv, Heads<const T> dout, Heads<const T> q, Heads<const T> k,
                            Heads<const T> v, RowStatistics statistics, AttentionShape shape) {
  const int dim = shape.head_dim, first_key = int(blockIdx.x) * kTile;
  const int kv_head = int(blockIdx.y), batch = int(blockIdx.z);
  const int keys = min(kTile, shape.keys - first_key);
  const PlainTile q_tile = tile_at(0, dim), dout_tile = tile_at(1, dim);
  const PlainTile k_tile = tile_at(2, dim), v_tile = tile_at(3, dim);
  const PlainTile p_tile = scores_at(4, 0, dim), ds_tile = scores_at(4, 1, dim);
  read_tile(k_tile, k, batch, kv_head, first_key, keys, dim);
  read_tile(v_tile, v, batch, kv_head, first_key, keys, dim);
  Sums dk_sum, dv_sum;
  clear(dk_sum);
  clear(dv_sum);
  const int first_query = max(0, first_key - shape.offset()) / kTile * kTile;
  for (int head = kv_head * shape.group(); head < (kv_head + 1) * shape.group(); ++head) {
    for (int row = first_query; row < shape.queries; row += kTile) {
      __syncthreads();
      read_tile(q_tile, q, batch, head, row, shape.queries - row, dim);
      read_tile(dout_tile, dout, batch, head, row, shape.queries - row, dim);
      __syncthreads();
      const int64_t at = (int64_t(batch) * shape.heads + head) * statistics.padded + row;
      recompute(p_tile, ds_tile, q_tile, k_tile, v_tile, dout_tile, statistics.lse + at, statistics.delta + at,
                row + shape.offset() - first_key, shape);
      __syncthreads();
      add_product(dv_sum, [&](int key, int j) { return p_tile.at(j, key); }, dout_tile, dim);
      add_product(dk_sum, [&](int key, int j) { return ds_tile.at(j, key); }, q_tile, dim);
    }
  }
  const float scaled[kRows] = {shape.scale, shape.scale}, plain[kRows] = {1, 1};
  write_sums(dk, batch, kv_head, first_key, keys, dk_sum, scaled, dim);
  write_sums(dv, batch, kv_head, first_key, keys, dv_sum, plain, dim);
}

}  // namespace

void plain_attention_forward(const Device& device, const AttentionShape& shape, const View& out, const View& lse,
                             const View& q, const View& k, const View& v) {
  const Launch at{{blocks_for(shape.queries, kTile), unsigned(shape.heads), unsigned(shape.batch)}, kThreads,
                  shared_bytes(3, 1, shape.head_dim), device.stream};
  with_type(q.dtype, [&](auto type) {
    using T = decltype(type);
    launch<attention_plain_kernel<T>>("attention_forward", at, heads_of<T>(out), lse.as<float>(),
                                      heads_of<const T>(q), heads_of<const T>(k), heads_of<const T>(v), shape);
  });
}

void plain_attention_backward(const Device& device, const AttentionShape& shape, const View& dq, const View& dk,
                              const View& dv, const View& dout, const View& q, const View& k, const View& v,
                              const RowStatistics& statistics) {
  const size_t bytes = shared_bytes(4, 2, shape.head_dim);
  const unsigned batch = unsigned(shape.batch);
  const Launch by_keys{{blocks_for(shape.keys, kTile), unsigned(shape.kv_heads), batch}, kThreads, bytes,
                       device.stream};
  const Launch by_queries{{blocks_for(shape.queries, kTile), unsigned(shape.heads), batch}, kThreads, bytes,
                          device.stream};
  with_type(q.dtype, [&](auto type) {
    using T = decltype(type);
    const auto q_heads = heads_of<const T>(q), k_heads = heads_of<const T>(k), v_heads = heads_of<const T>(v);
    const auto dout_heads = heads_of<const T>(dout);
    launch<attention_plain_dkdv_kernel<T>>("attention_backward", by_keys, heads_of<T>(dk), heads_of<T>(dv),
                                           dout_heads, q_heads, k_heads, v_heads, statistics, shape);
    launch<attention_plain_dq_kernel<T>>("attention_backward", by_queries, heads_of<T>(dq), dout_heads, q_heads,
                                         k_heads, v_heads, statistics, shape);
  });
}

}  // namespace nextpatch::cuda
