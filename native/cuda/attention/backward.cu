// Causal attention, backward, on tensor cores. With P = exp(scale q k^T - lse) recomputed tile by tile,
//   dv = P^T dout    dS = P * (dout v^T - delta)    dk = scale dS^T q    dq = scale dS k
// Two kernels, so that each sum has one owner and one order: a block of the first keeps a tile of keys, loops over
// the queries of all heads that read it, and sums dK and dV in registers; a block of the second keeps a tile of
// queries and sums dQ. This computes the scores and dout v^T twice: 7 products instead of a single pass's 5. But in a
// single pass many blocks add to dQ: with atomics, whose order changes bits, or with blocks that wait their turn,
// which ties the order of summation to that of scheduling.
// The accumulators of dout v^T - delta start at -delta, which is free and rounds smaller numbers.
// The first kernel computes transposed scores (keys are rows), so that in both kernels the registers with one product's
// result are the operand of the next: no score goes through shared memory.
#include "../cuda_kernels.h"
#include "../launch.cuh"
#include "../shared.cuh"
#include "attention.h"
#include "product.cuh"
#include "shared_tile.cuh"
#include "softmax.cuh"
#include "tile_sizes.cuh"

namespace nextpatch::cuda {
namespace {

// ---- dK and dV ----------------------------------------------------------------------------------------

template <int D, int Choice>
struct KeyGradient {
  static constexpr KeyGradientTile kTile = attention_tiles(D).key_gradient[Choice];
  static constexpr int kThreads = kTile.warps * 32;
  static constexpr int kSlabs = slabs(kTile.rows, kTile.warps);
  static constexpr size_t kStageBytes = kTile.stage_bytes(D);
  static constexpr size_t kSharedBytes = kTile.shared_bytes(D);
  static_assert(kSharedBytes <= kMostSharedBytes);
  static_assert(kRowPadding % kTile.queries == 0, "a stage's statistics lie within the padding");
};

template <int Queries, int Threads>
__device__ __forceinline__ void start_statistics(float* to, const float* from) {
  for (int i = int(threadIdx.x) * 4; i < Queries; i += Threads * 4) cp_async_16(to + i, from + i);
}

// One block: a tile of keys of a key head.
template <int D, int Choice>
__global__ void __launch_bounds__(KeyGradient<D, Choice>::kThreads)
    attention_dkdv_kernel(Heads<bf16> dk, Heads<bf16> dv, Heads<const bf16> dout, Heads<const bf16> q,
                          Heads<const bf16> k, Heads<const bf16> v, RowStatistics statistics, AttentionShape shape,
                          AttentionOrder order) {
  constexpr KeyGradientTile kTile = KeyGradient<D, Choice>::kTile;
  constexpr int kThreads = KeyGradient<D, Choice>::kThreads, kSlabs = KeyGradient<D, Choice>::kSlabs;
  const AttentionBlock block = order.block();
  if (!block.exists) return;
  // The first keys are seen by the most queries: their blocks start first.
  const int first_key = block.tile * kTile.rows;
  const int kv_head = block.kv_head, batch = block.batch, first_head = kv_head * shape.group();
  const int keys = min(kTile.rows, shape.keys - first_key);
  const int first_tile = max(0, first_key - shape.offset()) / kTile.queries;
  const int end_tile = (shape.queries + kTile.queries - 1) / kTile.queries;

  bf16* const k_tile = shared_memory<bf16>();
  bf16* const v_tile = k_tile + kTile.rows * D;
  char* const stages = reinterpret_cast<char*>(v_tile + kTile.rows * D);
  struct Stage {
    bf16 *q, *dout;
    float *lse, *delta;
  };
  const auto stage = [&](int step) {
    bf16* const q_tile = reinterpret_cast<bf16*>(stages + step % 2 * KeyGradient<D, Choice>::kStageBytes);
    bf16* const dout_tile = q_tile + kTile.queries * D;
    float* const lse = reinterpret_cast<float*>(dout_tile + kTile.queries * D);
    return Stage{q_tile, dout_tile, lse, lse + kTile.queries};
  };
  const auto start = [&](int step, int head, int tile) {
    const Stage to = stage(step);
    const int row = tile * kTile.queries, rows = shape.queries - row;
    start_tile<D, kTile.queries, kThreads>(to.q, q.at(batch, head, row), int(q.row_stride), rows);
    start_tile<D, kTile.queries, kThreads>(to.dout, dout.at(batch, head, row), int(dout.row_stride), rows);
    const int64_t at = (int64_t(batch) * shape.heads + head) * statistics.padded + row;
    start_statistics<kTile.queries, kThreads>(to.lse, statistics.lse + at);
    start_statistics<kTile.queries, kThreads>(to.delta, statistics.delta + at);
    __syncwarp();  // only some lanes copied, and the products need the whole warp converged
  };

  const int warp_row = int(threadIdx.x) / 32 * kSlabs * 16, lane = int(threadIdx.x) % 32;
  const auto k_fragments = Fragments<D>::down(k_tile + warp_row * D);
  const auto v_fragments = Fragments<D>::down(v_tile + warp_row * D);
  const float scale = shape.scale * kLog2e;
  Accumulator<kSlabs, D> dk_sum, dv_sum;
  clear(dk_sum);
  clear(dv_sum);

  // The heads of the group one after another, each with its tiles of queries.
  const int steps = max(0, end_tile - first_tile) * shape.group();
  if (steps > 0) {
    start_tile<D, kTile.rows, kThreads>(k_tile, k.at(batch, kv_head, first_key), int(k.row_stride), keys);
    start_tile<D, kTile.rows, kThreads>(v_tile, v.at(batch, kv_head, first_key), int(v.row_stride), keys);
    start(0, first_head, first_tile);
    cp_async_commit();
  }
  int tile = first_tile, next_head = first_head, next_tile = first_tile;
  for (int step = 0; step < steps; ++step, tile = next_tile) {
    if (++next_tile == end_tile) {
      next_tile = first_tile;
      ++next_head;
    }
    // This step's tiles are visible to all warps, and no warp still reads the previous stage.
    cp_async_wait<0>();
    __syncthreads();
    if (step + 1 < steps) start(step + 1, next_head, next_tile);
    cp_async_commit();

    // The first query sees the warp's keys up to row `last`, the next one row more.
    const int last = tile * kTile.queries + shape.offset() - first_key - warp_row;
    if (warp_row >= keys || last + kTile.queries - 1 < 0) continue;
    const Stage now = stage(step);
    const int column_of_lane = lane % 4 * 2;
    Accumulator<kSlabs, kTile.queries> p, ds;
    clear(p);
    add_product_of_rows(p, k_fragments, Fragments<D>::across(now.q));
    const bool masked = last < kSlabs * 16 - 1;
    const int bound = lane / 4 - column_of_lane - last;
    each_element(p, [&](float& x, int slab, int half, int column) {
      const float probability = exp2_approx(x * scale - now.lse[column + column_of_lane]);
      x = masked && slab * 16 + half * 8 + bound > column ? 0 : probability;
    });
    add_product<D>(dv_sum, p, Fragments<D>::down(now.dout));
    each_element(ds, [&](float& x, int, int, int column) { x = -now.delta[column + column_of_lane]; });
    add_product_of_rows(ds, v_fragments, Fragments<D>::across(now.dout));
    multiply(ds, p);
    add_product<D>(dk_sum, ds, Fragments<D>::down(now.q));
  }

  const int warp_rows = keys - warp_row, first = first_key + warp_row;
  store_rows<D>(dk.at(batch, kv_head, first), int(dk.row_stride), warp_rows, k_tile + warp_row * D, dk_sum,
                [&](int, int) { return shape.scale; });
  store_rows<D>(dv.at(batch, kv_head, first), int(dv.row_stride), warp_rows, v_tile + warp_row * D, dv_sum,
                [](int, int) { return 1.0f; });
}

// ---- dQ -----------------------------------------------------------------------------------------------

template <int D, int Choice>
struct QueryGradient {
  static constexpr QueryGradientTile kTile = attention_tiles(D).query_gradient[Choice];
  static constexpr int kThreads = kTile.warps * 32;
  static constexpr int kSlabs = slabs(kTile.rows, kTile.warps);
  static constexpr int kStage = 2 * kTile.keys * D;  // k, v
  static constexpr size_t kSharedBytes = kTile.shared_bytes(D);
  static_assert(kSharedBytes <= kMostSharedBytes);
  static_assert(kRowPadding % kTile.rows == 0, "a block's statistics lie within the padding");
};

// One block: a tile of queries of a head.
template <int D, int Choice>
__global__ void __launch_bounds__(QueryGradient<D, Choice>::kThreads)
    attention_dq_kernel(Heads<bf16> dq, Heads<const bf16> dout, Heads<const bf16> q, Heads<const bf16> k,
                        Heads<const bf16> v, RowStatistics statistics, AttentionShape shape, AttentionOrder order) {
  constexpr QueryGradientTile kTile = QueryGradient<D, Choice>::kTile;
  constexpr int kThreads = QueryGradient<D, Choice>::kThreads, kSlabs = QueryGradient<D, Choice>::kSlabs;
  const AttentionBlock block = order.block();
  if (!block.exists) return;
  // The last queries see the most keys.
  const int first_row = (order.last_tile() - block.tile) * kTile.rows;
  const int batch = block.batch, kv_head = block.kv_head, head = kv_head * shape.group() + block.head;
  const int rows = min(kTile.rows, shape.queries - first_row);
  const int seen_keys = min(shape.keys, max(0, first_row + rows + shape.offset()));
  const int key_tiles = (seen_keys + kTile.keys - 1) / kTile.keys;

  bf16* const q_tile = shared_memory<bf16>();
  bf16* const dout_tile = q_tile + kTile.rows * D;
  bf16* const stages = dout_tile + kTile.rows * D;
  const auto start = [&](int tile) {
    bf16* const k_tile = stages + tile % 2 * QueryGradient<D, Choice>::kStage;
    const int key = tile * kTile.keys, keys = shape.keys - key;
    start_tile<D, kTile.keys, kThreads>(k_tile, k.at(batch, kv_head, key), int(k.row_stride), keys);
    start_tile<D, kTile.keys, kThreads>(k_tile + kTile.keys * D, v.at(batch, kv_head, key), int(v.row_stride), keys);
  };

  const int warp_row = int(threadIdx.x) / 32 * kSlabs * 16, lane = int(threadIdx.x) % 32;
  const auto q_fragments = Fragments<D>::down(q_tile + warp_row * D);
  const auto dout_fragments = Fragments<D>::down(dout_tile + warp_row * D);
  const float scale = shape.scale * kLog2e;
  float lse[kSlabs][2], delta[kSlabs][2];
  const int64_t statistics_at =
      (int64_t(batch) * shape.heads + head) * statistics.padded + first_row + warp_row + lane / 4;
#pragma unroll
  for (int slab = 0; slab < kSlabs; ++slab)
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      lse[slab][half] = statistics.lse[statistics_at + slab * 16 + half * 8];
      delta[slab][half] = statistics.delta[statistics_at + slab * 16 + half * 8];
    }
  Accumulator<kSlabs, D> dq_sum;
  clear(dq_sum);

  if (key_tiles > 0) {
    start_tile<D, kTile.rows, kThreads>(q_tile, q.at(batch, head, first_row), int(q.row_stride), rows);
    start_tile<D, kTile.rows, kThreads>(dout_tile, dout.at(batch, head, first_row), int(dout.row_stride), rows);
    start(0);
    cp_async_commit();
  }
  for (int tile = 0; tile < key_tiles; ++tile) {
    cp_async_wait<0>();
    __syncthreads();
    if (tile + 1 < key_tiles) start(tile + 1);
    cp_async_commit();

    const int last = first_row + warp_row + shape.offset() - tile * kTile.keys;
    if (warp_row >= rows || last + kSlabs * 16 - 1 < 0) continue;
    const bf16* const k_tile = stages + tile % 2 * QueryGradient<D, Choice>::kStage;
    Accumulator<kSlabs, kTile.keys> p, ds;
    clear(p);
    add_product_of_rows(p, q_fragments, Fragments<D>::across(k_tile));
    if (last < kTile.keys - 1) mask_after(p, last);
    each_element(p, [&](float& x, int slab, int half, int) { x = exp2_approx(x * scale - lse[slab][half]); });
    each_element(ds, [&](float& x, int slab, int half, int) { x = -delta[slab][half]; });
    add_product_of_rows(ds, dout_fragments, Fragments<D>::across(k_tile + kTile.keys * D));
    multiply(ds, p);
    add_product<D>(dq_sum, ds, Fragments<D>::down(k_tile));
  }

  const int first = first_row + warp_row;
  store_rows<D>(dq.at(batch, head, first), int(dq.row_stride), rows - warp_row, q_tile + warp_row * D, dq_sum,
                [&](int, int) { return shape.scale; });
}

template <int D>
void backward(const Device& device, const AttentionShape& shape, const View& dq, const View& dk, const View& dv,
              const View& dout, const View& q, const View& k, const View& v, const RowStatistics& statistics) {
  constexpr AttentionTiles kTiles = attention_tiles(D);
  constexpr bool kKeysDiffer = !same_tile(kTiles.key_gradient[0], kTiles.key_gradient[1]);
  constexpr bool kQueriesDiffer = !same_tile(kTiles.query_gradient[0], kTiles.query_gradient[1]);
  const auto q_heads = heads_of<const bf16>(q), k_heads = heads_of<const bf16>(k), v_heads = heads_of<const bf16>(v);
  const auto dout_heads = heads_of<const bf16>(dout);
  with_choice<kKeysDiffer>(choose_tile(kTiles.key_gradient, D, device.multiprocessor_bytes), [&](auto choice) {
    constexpr int kChoice = decltype(choice)::value;
    using Keys = KeyGradient<D, kChoice>;
    const AttentionOrder order = order_by_keys(shape, Keys::kTile.rows, sizeof(bf16));
    const Launch at{order.grid, Keys::kThreads, Keys::kSharedBytes, device.stream};
    launch<attention_dkdv_kernel<D, kChoice>>("attention_backward", at, heads_of<bf16>(dk), heads_of<bf16>(dv),
                                              dout_heads, q_heads, k_heads, v_heads, statistics, shape, order);
  });
  with_choice<kQueriesDiffer>(choose_tile(kTiles.query_gradient, D, device.multiprocessor_bytes), [&](auto choice) {
    constexpr int kChoice = decltype(choice)::value;
    using Queries = QueryGradient<D, kChoice>;
    const AttentionOrder order = order_by_queries(shape, Queries::kTile.rows, sizeof(bf16));
    const Launch at{order.grid, Queries::kThreads, Queries::kSharedBytes, device.stream};
    launch<attention_dq_kernel<D, kChoice>>("attention_backward", at, heads_of<bf16>(dq), dout_heads, q_heads, k_heads,
                                            v_heads, statistics, shape, order);
  });
}

}  // namespace

void CudaKernels::attention_backward(const View& dq, const View& dk, const View& dv, const View& dout, const View& q,
                                     const View& k, const View& v, const View& out, const View& lse,
                                     const View& workspace, float scale) {
  const AttentionShape shape = attention_shape(q, k, scale);
  const auto statistics = [&](float lse_unit) {
    return row_statistics(device_, shape, dout, out, lse, workspace, lse_unit);
  };
  const bool workspace_aligned = reinterpret_cast<uintptr_t>(workspace.data) % 16 == 0;
  if (!workspace_aligned || !on_tensor_cores(scale, dq, dk, dv, dout, q, k, v))
    return plain_attention_backward(device_, shape, dq, dk, dv, dout, q, k, v, statistics(1));
  with_head_dim(shape.head_dim, [&](auto dim) {
    backward<decltype(dim)::value>(device_, shape, dq, dk, dv, dout, q, k, v, statistics(kLog2e));
  });
}

int64_t CudaKernels::attention_backward_workspace(int64_t batch, int64_t queries, int64_t, int64_t heads, int64_t,
                                                  int64_t) const {
  return 2 * batch * heads * padded_queries(queries);
}

}  // namespace nextpatch::cuda
