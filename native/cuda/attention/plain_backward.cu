// Attention without tensor cores, backward: the two kernels of backward.cu; see plain.cuh.
#include "../cuda_kernels.h"
#include "../dispatch.h"
#include "../launch.cuh"
#include "plain.cuh"

namespace nextpatch::cuda {
namespace {

// Blocks of a multiprocessor that registers are kept for: no more fit into its shared memory for D > 128.
template <int Rows>
constexpr int kPlainBlocks = 2 * Rows;

// P and dS of a tile of queries and a tile of keys.
template <int Rows>
__device__ __forceinline__ void recompute(const PlainTile& p_tile, const PlainTile& ds_tile, const PlainTile& q_tile,
                                          const PlainTile& k_tile, const PlainTile& v_tile, const PlainTile& dout_tile,
                                          const float* lse, const float* delta, int offset,
                                          const AttentionShape& shape) {
  float p[Rows][Rows] = {}, ds[Rows][Rows];
  add_product_of_rows(p, q_tile, k_tile, shape.head_dim);
  // dP - delta, starting at -delta: partial sums then get smaller towards the end, and so do their rounding errors.
#pragma unroll
  for (int r = 0; r < Rows; ++r)
#pragma unroll
    for (int c = 0; c < Rows; ++c) ds[r][c] = -delta[thread_y() + r * kPlainSide];
  add_product_of_rows(ds, dout_tile, v_tile, shape.head_dim);
#pragma unroll
  for (int r = 0; r < Rows; ++r) {
    const int row = thread_y() + r * kPlainSide;
#pragma unroll
    for (int c = 0; c < Rows; ++c) {
      const int column = thread_x() + c * kPlainSide, back = row + offset - column;
      const float probability = back >= 0 && back < shape.window ? expf(p[r][c] * shape.scale - lse[row]) : 0;
      p_tile.at(row, column) = probability;
      ds_tile.at(row, column) = probability * ds[r][c];
    }
  }
}

// One block: a tile of queries of a head. Shared: q, dout, k, v; P, dS.
template <typename T, int Rows>
__global__ void __launch_bounds__(kPlainThreads, kPlainBlocks<Rows>)
    attention_plain_dq_kernel(Heads<T> dq, Heads<const T> dout, Heads<const T> q, Heads<const T> k, Heads<const T> v,
                              RowStatistics statistics, AttentionShape shape, AttentionOrder order) {
  const AttentionBlock block = order.block();
  if (!block.exists) return;
  constexpr int kTile = kPlainTile<Rows>;
  const int dim = shape.head_dim, first_row = (order.last_tile() - block.tile) * kTile;
  const int batch = block.batch, kv_head = block.kv_head, head = kv_head * shape.group() + block.head;
  const int rows = min(kTile, shape.queries - first_row);
  const int seen_keys = shape.end_key(first_row + rows);
  const PlainTile q_tile = tile_at<Rows>(0, dim), dout_tile = tile_at<Rows>(1, dim);
  const PlainTile k_tile = tile_at<Rows>(2, dim), v_tile = tile_at<Rows>(3, dim);
  const PlainTile p_tile = scores_at<Rows>(4, 0, dim), ds_tile = scores_at<Rows>(4, 1, dim);
  const int64_t at = (int64_t(batch) * shape.heads + head) * statistics.padded + first_row;
  read_tile<Rows>(q_tile, q, batch, head, first_row, rows, dim);
  read_tile<Rows>(dout_tile, dout, batch, head, first_row, rows, dim);
  Sums<Rows> sum;
  clear<Rows>(sum);
  for (int first_key = shape.first_key(first_row) / kTile * kTile; first_key < seen_keys; first_key += kTile) {
    __syncthreads();
    read_tile<Rows>(k_tile, k, batch, kv_head, first_key, shape.keys - first_key, dim);
    read_tile<Rows>(v_tile, v, batch, kv_head, first_key, shape.keys - first_key, dim);
    __syncthreads();
    recompute<Rows>(p_tile, ds_tile, q_tile, k_tile, v_tile, dout_tile, statistics.lse + at, statistics.delta + at,
                    first_row + shape.offset() - first_key, shape);
    __syncwarp();
    add_product<Rows>(sum, [&](int row, int j) { return ds_tile.at(row, j); }, k_tile, dim);
  }
  float factor[Rows];
  for (float& each : factor) each = shape.scale;
  write_sums<Rows>(dq, batch, head, first_row, rows, sum, factor, dim);
}

// One block: a tile of keys of a key head. Shared: as for dq. The heads of the group are summed in order.
template <typename T, int Rows>
__global__ void __launch_bounds__(kPlainThreads, kPlainBlocks<Rows>)
    attention_plain_dkdv_kernel(Heads<T> dk, Heads<T> dv, Heads<const T> dout, Heads<const T> q, Heads<const T> k,
                                Heads<const T> v, RowStatistics statistics, AttentionShape shape,
                                AttentionOrder order) {
  const AttentionBlock block = order.block();
  if (!block.exists) return;
  constexpr int kTile = kPlainTile<Rows>;
  const int dim = shape.head_dim, first_key = block.tile * kTile;
  const int kv_head = block.kv_head, batch = block.batch;
  const int keys = min(kTile, shape.keys - first_key);
  const PlainTile q_tile = tile_at<Rows>(0, dim), dout_tile = tile_at<Rows>(1, dim);
  const PlainTile k_tile = tile_at<Rows>(2, dim), v_tile = tile_at<Rows>(3, dim);
  const PlainTile p_tile = scores_at<Rows>(4, 0, dim), ds_tile = scores_at<Rows>(4, 1, dim);
  read_tile<Rows>(k_tile, k, batch, kv_head, first_key, keys, dim);
  read_tile<Rows>(v_tile, v, batch, kv_head, first_key, keys, dim);
  Sums<Rows> dk_sum, dv_sum;
  clear<Rows>(dk_sum);
  clear<Rows>(dv_sum);
  const int first_query = shape.first_query(first_key) / kTile * kTile;
  const int end_query = shape.end_query(first_key + keys);
  for (int head = kv_head * shape.group(); head < (kv_head + 1) * shape.group(); ++head) {
    for (int row = first_query; row < end_query; row += kTile) {
      __syncthreads();
      read_tile<Rows>(q_tile, q, batch, head, row, shape.queries - row, dim);
      read_tile<Rows>(dout_tile, dout, batch, head, row, shape.queries - row, dim);
      __syncthreads();
      const int64_t at = (int64_t(batch) * shape.heads + head) * statistics.padded + row;
      recompute<Rows>(p_tile, ds_tile, q_tile, k_tile, v_tile, dout_tile, statistics.lse + at, statistics.delta + at,
                      row + shape.offset() - first_key, shape);
      __syncthreads();
      add_product<Rows>(dv_sum, [&](int key, int j) { return p_tile.at(j, key); }, dout_tile, dim);
      add_product<Rows>(dk_sum, [&](int key, int j) { return ds_tile.at(j, key); }, q_tile, dim);
    }
  }
  float scaled[Rows], plain[Rows];
  for (int r = 0; r < Rows; ++r) {
    scaled[r] = shape.scale;
    plain[r] = 1;
  }
  write_sums<Rows>(dk, batch, kv_head, first_key, keys, dk_sum, scaled, dim);
  write_sums<Rows>(dv, batch, kv_head, first_key, keys, dv_sum, plain, dim);
}

}  // namespace

void plain_attention_backward(const Device& device, const AttentionShape& shape, const View& dq, const View& dk,
                              const View& dv, const View& dout, const View& q, const View& k, const View& v,
                              const RowStatistics& statistics) {
  with_plain_rows(shape.head_dim, [&](auto rows) {
    constexpr int kRows = decltype(rows)::value;
    const size_t bytes = plain_shared_bytes<kRows>(4, 2, shape.head_dim);
    const AttentionOrder key_order = order_by_keys(shape, kPlainTile<kRows>, size_of(q.dtype));
    const AttentionOrder query_order = order_by_queries(shape, kPlainTile<kRows>, size_of(q.dtype));
    const Launch by_keys{key_order.grid, kPlainThreads, bytes, device.stream};
    const Launch by_queries{query_order.grid, kPlainThreads, bytes, device.stream};
    with_type(q.dtype, [&](auto type) {
      using T = decltype(type);
      const auto q_heads = heads_of<const T>(q), k_heads = heads_of<const T>(k), v_heads = heads_of<const T>(v);
      const auto dout_heads = heads_of<const T>(dout);
      launch<attention_plain_dkdv_kernel<T, kRows>>("attention_backward", by_keys, heads_of<T>(dk), heads_of<T>(dv),
                                                    dout_heads, q_heads, k_heads, v_heads, statistics, shape,
                                                    key_order);
      launch<attention_plain_dq_kernel<T, kRows>>("attention_backward", by_queries, heads_of<T>(dq), dout_heads,
                                                  q_heads, k_heads, v_heads, statistics, shape, query_order);
    });
  });
}

}  // namespace nextpatch::cuda
