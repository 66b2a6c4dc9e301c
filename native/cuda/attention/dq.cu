// Causal attention, backward: dQ on tensor cores; backward.cu has the formulas. One block keeps a tile of queries of a
// head and loops over the keys that they see. At D = 256 the tiles of q and dout would fill the shared memory: dout
// passes through that of q into registers.
#include "../cuda_kernels.h"
#include "../launch.cuh"
#include "../shared.cuh"
#include "attention.h"
#include "product.cuh"
#include "rotary.cuh"
#include "shared_tile.cuh"
#include "softmax.cuh"
#include "tile_sizes.cuh"

namespace nextpatch::cuda {
namespace {

template <int D, int Choice>
struct QueryGradient {
  static constexpr QueryGradientTile kTile = attention_tiles(D).query_gradient[Choice];
  static constexpr int kThreads = kTile.warps * 32;
  static constexpr int kSlabs = slabs(kTile.rows, kTile.warps);
  static constexpr int kStage = 2 * kTile.keys * D;  // k, v
  static constexpr size_t kSharedBytes = kTile.shared_bytes(D);
  static_assert(kSharedBytes <= most_shared_bytes(Choice));
  static_assert(kRowPadding % kTile.rows == 0, "a block's statistics lie within the padding");
};

// One block: a tile of queries of a head.
template <int D, int Choice>
__global__ void __launch_bounds__(QueryGradient<D, Choice>::kThreads)
    attention_dq_kernel(Heads<bf16> dq, Heads<const bf16> dout, Heads<const bf16> q, Heads<const bf16> k,
                        Heads<const bf16> v, RowStatistics statistics, const float* rotary_table, AttentionShape shape,
                        AttentionOrder order) {
  constexpr QueryGradientTile kTile = QueryGradient<D, Choice>::kTile;
  constexpr int kThreads = QueryGradient<D, Choice>::kThreads, kSlabs = QueryGradient<D, Choice>::kSlabs;
  const AttentionBlock block = order.block();
  if (!block.exists) return;
  // The last queries see the most keys.
  const int first_row = (order.last_tile() - block.tile) * kTile.rows;
  const int batch = block.batch, kv_head = block.kv_head, head = kv_head * shape.group() + block.head;
  const int rows = min(kTile.rows, shape.queries - first_row);
  // shape.first_key(first_row), written so that D = 128 does not spill on 9.0.
  const int position = first_row + shape.offset();
  const int first_tile = position < shape.window ? 0 : (position - shape.window + 1) / kTile.keys;
  const int end_tile = (shape.end_key(first_row + rows) + kTile.keys - 1) / kTile.keys;

  bf16* const q_tile = shared_memory<bf16>();
  bf16* const dout_tile = kTile.holds_dout ? q_tile : q_tile + kTile.rows * D;
  bf16* const stages = dout_tile + kTile.rows * D;
  const auto start = [&](int tile) {
    bf16* const k_tile = stages + tile % 2 * QueryGradient<D, Choice>::kStage;
    const int key = tile * kTile.keys, keys = shape.keys - key;
    start_tile<D, kTile.keys, kThreads>(k_tile, k.at(batch, kv_head, key), int(k.row_stride), keys);
    start_tile<D, kTile.keys, kThreads>(k_tile + kTile.keys * D, v.at(batch, kv_head, key), int(v.row_stride), keys);
  };
  // What was started is visible to all warps, and no warp still reads the previous stage.
  const auto arrive = [] {
    cp_async_wait<0>();
    __syncthreads();
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

  HeldRows<D, kSlabs> dout_rows;
  if (first_tile < end_tile) {
    start_tile<D, kTile.rows, kThreads>(dout_tile, dout.at(batch, head, first_row), int(dout.row_stride), rows);
    if constexpr (kTile.holds_dout) {
      cp_async_commit();
      arrive();
      read_rows<D>(dout_rows, dout_fragments);
      __syncthreads();  // q takes the place of dout
    }
    start_tile<D, kTile.rows, kThreads>(q_tile, q.at(batch, head, first_row), int(q.row_stride), rows);
    start(first_tile);
    cp_async_commit();
  }
  for (int tile = first_tile; tile < end_tile; ++tile) {
    arrive();
    if (tile + 1 < end_tile) start(tile + 1);
    cp_async_commit();

    const int last = first_row + warp_row + shape.offset() - tile * kTile.keys;
    if (warp_row >= rows || hides_all(kSlabs * 16, kTile.keys, last, shape.window)) continue;
    const bf16* const k_tile = stages + tile % 2 * QueryGradient<D, Choice>::kStage;
    Accumulator<kSlabs, kTile.keys> p, ds;
    clear(p);
    add_product_of_rows(p, q_fragments, Fragments<D>::across(k_tile));
    if (hides_some(kSlabs * 16, kTile.keys, last, shape.window)) mask(p, last, shape.window);
    each_element(p, [&](float& x, int slab, int half, int) { x = exp2_approx(x * scale - lse[slab][half]); });
    each_element(ds, [&](float& x, int slab, int half, int) { x = -delta[slab][half]; });
    const auto v_fragments = Fragments<D>::across(k_tile + kTile.keys * D);
    if constexpr (kTile.holds_dout)
      add_product_of_rows<D>(ds, dout_rows, v_fragments);
    else
      add_product_of_rows(ds, dout_fragments, v_fragments);
    multiply(ds, p);
    add_product<D>(dq_sum, ds, Fragments<D>::down(k_tile));
  }

  const int first = first_row + warp_row;
  if (rotary_table) turn_back<D>(dq_sum, rotary_table, first + shape.offset(), rows - warp_row);
  store_rows<D>(dq.at(batch, head, first), int(dq.row_stride), rows - warp_row, q_tile + warp_row * D, dq_sum,
                [&](int, int) { return shape.scale; });
}

template <int D>
void launch_dq(const Device& device, const AttentionShape& shape, const View& dq, const View& dout, const View& q,
               const View& k, const View& v, const RowStatistics& statistics, const float* rotary_table) {
  constexpr AttentionTiles kTiles = attention_tiles(D);
  constexpr bool kDiffer = !same_tile(kTiles.query_gradient[0], kTiles.query_gradient[1]);
  with_choice<kDiffer>(choose_tile(kTiles.query_gradient, D, device.multiprocessor_bytes), [&](auto choice) {
    using Queries = QueryGradient<D, decltype(choice)::value>;
    const AttentionOrder order = order_by_queries(shape, Queries::kTile.rows, sizeof(bf16));
    const Launch at{order.grid, Queries::kThreads, Queries::kSharedBytes, device.stream};
    launch<attention_dq_kernel<D, decltype(choice)::value>>(
        "attention_backward", at, heads_of<bf16>(dq), heads_of<const bf16>(dout), heads_of<const bf16>(q),
        heads_of<const bf16>(k), heads_of<const bf16>(v), statistics, rotary_table, shape, order);
  });
}

}  // namespace

void attention_dq(const Device& device, const AttentionShape& shape, const View& dq, const View& dout, const View& q,
                  const View& k, const View& v, const RowStatistics& statistics, const float* rotary_table) {
  with_head_dim(shape.head_dim, [&](auto dim) {
    launch_dq<decltype(dim)::value>(device, shape, dq, dout, q, k, v, statistics, rotary_table);
  });
}

}  // namespace nextpatch::cuda
