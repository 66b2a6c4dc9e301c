// Attention without tensor cores, forward; see plain.cuh.
#include "../cuda_kernels.h"
#include "../dispatch.h"
#include "../launch.cuh"
#include "plain.cuh"

namespace nextpatch::cuda {
namespace {

// One block: a tile of queries of a head. Shared: q, k, v; scores.
template <typename T>
__global__ void __launch_bounds__(kPlainThreads)
    attention_plain_kernel(Heads<T> out, float* lse, Heads<const T> q, Heads<const T> k, Heads<const T> v,
                           AttentionShape shape, AttentionOrder order) {
  const AttentionBlock block = order.block();
  if (!block.exists) return;
  const int dim = shape.head_dim, first_row = (order.last_tile() - block.tile) * kPlainTile;
  const int batch = block.batch, kv_head = block.kv_head, head = kv_head * shape.group() + block.head;
  const int rows = min(kPlainTile, shape.queries - first_row);
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
  for (int first_key = 0; first_key < seen_keys; first_key += kPlainTile) {
    __syncthreads();
    read_tile(k_tile, k, batch, kv_head, first_key, shape.keys - first_key, dim);
    read_tile(v_tile, v, batch, kv_head, first_key, shape.keys - first_key, dim);
    __syncthreads();
    float scores[kRows][kRows] = {};
    add_product_of_rows(scores, q_tile, k_tile, dim);
#pragma unroll
    for (int r = 0; r < kRows; ++r) {
      const int row = thread_y() + r * kPlainSide, last = first_row + row + shape.offset() - first_key;
      float most = largest[r];
      for (int c = 0; c < kRows; ++c) {
        const int column = thread_x() + c * kPlainSide;
        scores[r][c] = column <= last ? scores[r][c] * shape.scale : -INFINITY;
        most = fmaxf(most, scores[r][c]);
      }
      most = across_row(most, [](float a, float b) { return fmaxf(a, b); });
      // A row without keys so far: any finite number gives exp(-inf) = 0, not NaN.
      const float shift = most == -INFINITY ? 0 : most;
      const float rescale = expf(largest[r] - shift);
      largest[r] = most;
      float added = 0;
      for (int c = 0; c < kRows; ++c) {
        const float p = expf(scores[r][c] - shift);
        p_tile.at(row, thread_x() + c * kPlainSide) = p;
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
    const int row = thread_y() + r * kPlainSide;
    factor[r] = total[r] == 0 ? 0 : 1 / total[r];
    if (thread_x() == 0 && row < rows)
      lse[(int64_t(batch) * shape.heads + head) * shape.queries + first_row + row] =
          total[r] == 0 ? -INFINITY : largest[r] + logf(total[r]);
  }
  write_sums(out, batch, head, first_row, rows, sum, factor, dim);
}

}  // namespace

void plain_attention_forward(const Device& device, const AttentionShape& shape, const View& out, const View& lse,
                             const View& q, const View& k, const View& v) {
  const AttentionOrder order = order_by_queries(shape, kPlainTile, size_of(q.dtype));
  const Launch at{order.grid, kPlainThreads, plain_shared_bytes(3, 1, shape.head_dim), device.stream};
  with_type(q.dtype, [&](auto type) {
    using T = decltype(type);
    launch<attention_plain_kernel<T>>("attention_forward", at, heads_of<T>(out), lse.as<float>(), heads_of<const T>(q),
                                      heads_of<const T>(k), heads_of<const T>(v), shape, order);
  });
}

}  // namespace nextpatch::cuda
