// Parameters of the attention kernels. H query heads in groups share G key heads, D elements each.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>
#include <type_traits>

#include "../../core/view.h"
#include "../../kernels.h"
#include "order.h"
#include "warpgroup_sizes.cuh"

namespace nextpatch::cuda {

// A tensor [B, T, heads, D], D contiguous; strides in elements.
template <typename T>
struct Heads {
  T* data;
  int64_t batch_stride, row_stride, head_stride;

  // One position of one head.
  __device__ T* at(int batch, int head, int row) const {
    return data + batch * batch_stride + head * head_stride + row * row_stride;
  }
};

template <typename T>
Heads<T> heads_of(const View& x) {
  return {x.as<T>(), x.stride[0], x.stride[1], x.stride[2]};
}

struct AttentionShape {
  int batch, queries, keys, heads, kv_heads, head_dim;
  int window;  // the most keys that a query sees, at most `keys`
  float scale;

  __host__ __device__ int group() const { return heads / kv_heads; }
  // Query i sees the keys j with i + offset - window < j <= i + offset.
  __host__ __device__ int offset() const { return keys - queries; }
  // The first key that a query sees, if it sees any, and the first that none of the queries before `end` sees.
  __device__ int first_key(int query) const { return max(0, query + offset() - window + 1); }
  __device__ int end_key(int end) const { return min(keys, max(0, end + offset())); }
  // The same for the queries that see a key, or one of the keys before `end`.
  __device__ int first_query(int key) const { return max(0, key - offset()); }
  __device__ int end_query(int end) const { return min(queries, max(0, end - 1 - offset() + window)); }
};

// Order of blocks that each own `tile_rows` queries of a head and read all of the pair's keys and values.
inline AttentionOrder order_by_queries(const AttentionShape& shape, int tile_rows, int64_t element_bytes) {
  return AttentionOrder(shape.batch, shape.kv_heads, shape.group(), tiles_of(shape.queries, tile_rows),
                        2 * element_bytes * shape.keys * shape.head_dim);
}
// Order of blocks that each own `tile_rows` keys and read all of the pair's queries and dout.
inline AttentionOrder order_by_keys(const AttentionShape& shape, int tile_rows, int64_t element_bytes) {
  return AttentionOrder(shape.batch, shape.kv_heads, 1, tiles_of(shape.keys, tile_rows),
                        2 * element_bytes * shape.queries * shape.head_dim * shape.group());
}

inline AttentionShape attention_shape(const View& q, const View& k, float scale, int64_t window) {
  return {int(q.dim(0)),
          int(q.dim(1)),
          int(k.dim(1)),
          int(q.dim(2)),
          int(k.dim(2)),
          int(q.dim(3)),
          int(seen_at_most(window, k.dim(1))),
          scale};
}

// On tensor cores, scores are in units of log2: exp(scale * s) = exp2(scale * kLog2e * s).
constexpr float kLog2e = 1.4426950408889634f;
constexpr float kLn2 = 0.6931471805599453f;

// Whether every row of a bf16 tensor allows 16-byte accesses, and 32 bits hold offsets within a tile of rows.
inline bool rows_aligned_16(const View& x) {
  if (reinterpret_cast<uintptr_t>(x.data) % 16 != 0) return false;
  for (int i = 0; i < 3; ++i)
    if (x.dim(i) > 1 && x.stride[i] % 8 != 0) return false;  // the stride of a dimension of 1 is unused
  return x.dim(1) == 1 || x.stride[1] <= INT32_MAX / 128;
}

// Whether the tensor-core kernels support the tensors: bf16 rows that allow 16-byte accesses, and a scale that keeps
// the order of the scores.
template <typename... Views>
bool on_tensor_cores(float scale, const Views&... views) {
  return scale > 0 && ((views.dtype == DType::bf16 && rows_aligned_16(views)) && ...);
}

// What the backward kernels need for every query, computed in one pass over out and dout. Rows are padded to a multiple
// of kRowPadding for the kernels' tiles.
struct RowStatistics {
  const float* lse;    // [B, H, padded], times lse_unit; +inf if a query sees no key or does not exist
  const float* delta;  // [B, H, padded], the sum of dout * out over D; 0 if a query does not exist
  int padded;
};
constexpr int kRowPadding = 128;

inline int64_t padded_queries(int64_t queries) { return (queries + kRowPadding - 1) / kRowPadding * kRowPadding; }

struct Device;

// The two backward kernels on tensor cores; lse in units of log2. dk and dq are rotated back by rotary_table, unless it
// is nullptr.
void attention_dkdv(const Device& device, const AttentionShape& shape, const View& dk, const View& dv, const View& dout,
                    const View& q, const View& k, const View& v, const RowStatistics& statistics,
                    const float* rotary_table);
void attention_dq(const Device& device, const AttentionShape& shape, const View& dq, const View& dout, const View& q,
                  const View& k, const View& v, const RowStatistics& statistics, const float* rotary_table);

// The same with a warpgroup's products, for the head dimensions of warpgroup_sizes.cuh on devices that have them.
void attention_forward_wgmma(const Device& device, const AttentionShape& shape, const View& out, const View& lse,
                             const View& q, const View& k, const View& v);
void attention_dkdv_wgmma(const Device& device, const AttentionShape& shape, const View& dk, const View& dv,
                          const View& dout, const View& q, const View& k, const View& v,
                          const RowStatistics& statistics, const float* rotary_table);
void attention_dq_wgmma(const Device& device, const AttentionShape& shape, const View& dq, const View& dout,
                        const View& q, const View& k, const View& v, const RowStatistics& statistics,
                        const float* rotary_table);

// The kernels for f32, and for any strides and alignment.
void plain_attention_forward(const Device& device, const AttentionShape& shape, const View& out, const View& lse,
                             const View& q, const View& k, const View& v);
void plain_attention_backward(const Device& device, const AttentionShape& shape, const View& dq, const View& dk,
                              const View& dv, const View& dout, const View& q, const View& k, const View& v,
                              const RowStatistics& rows);

// Calls f with the head dimension as a constant.
template <int... Dims, typename F>
void with_one_of(std::integer_sequence<int, Dims...>, int head_dim, const F& f) {
  ((head_dim == Dims ? f(std::integral_constant<int, Dims>()) : void()), ...);
}
// Calls f with 0 or 1 as a constant: which of two tiles a kernel takes on this device. Tiles that are the same are
// compiled once.
template <bool Differ, typename F>
void with_choice(int choice, const F& f) {
  if constexpr (Differ) {
    if (choice == 1) return f(std::integral_constant<int, 1>());
  }
  f(std::integral_constant<int, 0>());
}

template <typename F>
void with_warpgroup_sizes(int head_dim, const F& f) {
  with_one_of(WarpgroupHeadDims{}, head_dim, f);
}

template <typename F>
void with_head_dim(int head_dim, const F& f) {
  with_one_of(HeadDims{}, head_dim, f);
}

}  // namespace nextpatch::cuda
