// Attention without tensor cores, forward; see plain.cuh.
#include "../cuda_kernels.h"
#include "../dispatch.h"
#include "../launch.cuh"
#include "plain.cuh"

namespace nextpatch::cuda {
namespace {

// One block: a tile of queries of a head. Shared: q, k, v; scores.
template <typename T, int Rows>
__global__ void __launch_bounds__(kPlainThreads)
    attention_plain_kernel(Heads<T> out, float* lse, Heads<const T> q, Heads<const T> k, Heads<const T> v,
                           AttentionShape shape, AttentionOrder order) {
  const AttentionBlock block = order.block();
  if (!block.exists) return;
  constexpr int kTile = kPlainTile<Rows>;
  const int dim = shape.head_dim, first_row = (order.last_tile() - block.tile) * kTile;
  const int batch = block.batch, kv_head = block.kv_head, head = kv_head * shape.group() + block.head;
  const int rows = min(kTile, shape.queries - first_row);
  const int seen_keys = shape.end_key(first_row + rows);
  const PlainTile q_tile = tile_at<Rows>(0, dim), k_tile = tile_at<Rows>(1, dim), v_tile = tile_at<Rows>(2, dim);
  const PlainTile p_tile = scores_at<Rows>(3, 0, dim);
  read_tile<Rows>(q_tile, q, batch, head, first_row, rows, dim);
  float largest[Rows], total[Rows];
  for (int r = 0; r < Rows; ++r) {
    largest[r] = -INFINITY;
    total[r] = 0;
  }
  Sums<Rows> sum;
  clear<Rows>(sum);
  for (int first_key = shape.first_key(first_row) / kTile * kTile; first_key < seen_keys; first_key += kTile) {
    __syncthreads();
    read_tile<Rows>(k_tile, k, batch, kv_head, first_key, shape.keys - first_key, dim);
    read_tile<Rows>(v_tile, v, batch, kv_head, first_key, shape.keys - first_key, dim);
    __syncthreads();
    float scores[Rows][Rows] = {};
    add_product_of_rows(scores, q_tile, k_tile, dim);
#pragma unroll
    for (int r = 0; r < Rows; ++r) {
      const int row = thread_y() + r * kPlainSide, last = first_row + row + shape.offset() - first_key;
      float most = largest[r];
      for (int c = 0; c < Rows; ++c) {
        const int column = thread_x() + c * kPlainSide;
        scores[r][c] = column <= last && column > last - shape.window ? scores[r][c] * shape.scale : -INFINITY;
        most = fmaxf(most, scores[r][c]);
      }
      most = across_row(most, [](float a, float b) { return fmaxf(a, b); });
      // A row without keys so far: any finite number gives exp(-inf) = 0, not NaN.
      const float shift = most == -INFINITY ? 0 : most;
      const float rescale = expf(largest[r] - shift);
      largest[r] = most;
      float added = 0;
      for (int c = 0; c < Rows; ++c) {
        const float p = expf(scores[r][c] - shift);
        p_tile.at(row, thread_x() + c * kPlainSide) = p;
        added += p;
      }
      total[r] = total[r] * rescale + across_row(added, [](float a, float b) { return a + b; });
#pragma unroll
      for (int c = 0; c < kMostColumns<Rows>; ++c) sum[r][c] *= rescale;
    }
    __syncwarp();  // rows of scores are read by the warp that wrote them
    add_product<Rows>(sum, [&](int row, int j) { return p_tile.at(row, j); }, v_tile, dim);
  }
  float factor[Rows];
#pragma unroll
  for (int r = 0; r < Rows; ++r) {
    const int row = thread_y() + r * kPlainSide;
    factor[r] = total[r] == 0 ? 0 : 1 / total[r];
    if (thread_x() == 0 && row < rows)
      lse[(int64_t(batch) * shape.heads + head) * shape.queries + first_row + row] =
          total[r] == 0 ? -INFINITY : largest[r] + logf(total[r]);
  }
  write_sums<Rows>(out, batch, head, first_row, rows, sum, factor, dim);
}

}  // namespace

void plain_attention_forward(const Device& device, const AttentionShape& shape, const View& out, const View& lse,
                             const View& q, const View& k, const View& v) {
  with_plain_rows(shape.head_dim, [&](auto rows) {
    constexpr int kRows = decltype(rows)::value;
    const AttentionOrder order = order_by_queries(shape, kPlainTile<kRows>, size_of(q.dtype));
    const Launch at{order.grid, kPlainThreads, plain_shared_bytes<kRows>(3, 1, shape.head_dim), device.stream};
    with_type(q.dtype, [&](auto type) {
      using T = decltype(type);
      launch<attention_plain_kernel<T, kRows>>("attention_forward", at, heads_of<T>(out), lse.as<float>(),
                                               heads_of<const T>(q), heads_of<const T>(k), heads_of<const T>(v), shape,
                                               order);
    });
  });
}

}  // namespace nextpatch::cuda
