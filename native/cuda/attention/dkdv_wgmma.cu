// Causal attention, backward, with a warpgroup's products (compute capability 9.0): dK and dV; backward.cu has the
// formulas. A block's warpgroups keep 64 keys each and go together through the queries of all heads that read them.
// Scores are transposed (keys are rows), so that the registers with one product's result are the operand of the next.
#include "../cuda_kernels.h"
#include "../launch.cuh"
#include "../shared.cuh"
#include "attention.h"
#include "rotary.cuh"
#include "softmax.cuh"
#include "warpgroup.cuh"
#include "warpgroup_sizes.cuh"

namespace nextpatch::cuda {
namespace {

template <int D>
using KeyGradient = typename WarpgroupSizes<D>::KeyGradient;

// One block: a tile of keys of a key head.
template <int D>
__global__ void __launch_bounds__(KeyGradient<D>::kThreads, KeyGradient<D>::kBlocks)
    attention_dkdv_wgmma_kernel(Heads<bf16> dk, Heads<bf16> dv, Heads<const bf16> dout, Heads<const bf16> q,
                                Heads<const bf16> k, Heads<const bf16> v, RowStatistics statistics,
                                const float* rotary_table, AttentionShape shape, AttentionOrder order) {
#if NEXTPATCH_WGMMA
  using Size = KeyGradient<D>;
  constexpr int kRows = Size::kRows, kQueries = Size::kColumns, kThreads = Size::kThreads;
  static_assert(Size::kStages == 2, "tiles take turns in two stages");
  static_assert(kRowPadding % kQueries == 0, "a stage's statistics lie within the padding");
  const AttentionBlock block = order.block();
  if (!block.exists) return;
  // The first keys are seen by the most queries: their blocks start first.
  const int first_key = block.tile * kRows;
  const int kv_head = block.kv_head, batch = block.batch;
  const int keys = min(kRows, shape.keys - first_key);
  const int first_tile = shape.first_query(first_key) / kQueries;
  const int end_tile = (shape.end_query(first_key + keys) + kQueries - 1) / kQueries;

  const int thread = int(threadIdx.x), group = thread / kWarpgroup, group_row = group * kGroupRows;
  // Two stages, each with q, dout, lse and delta; then each group's k and v.
  bf16* const q_stages = shared_memory<bf16>();
  bf16* const dout_stages = q_stages + 2 * Panels<D, kQueries>::kElements;
  bf16* const k_tile =
      dout_stages + 2 * Panels<D, kQueries>::kElements + group * 2 * Panels<D, kGroupRows>::kElements;  // this group's
  bf16* const v_tile = k_tile + Panels<D, kGroupRows>::kElements;
  float* const lse_stages =
      reinterpret_cast<float*>(dout_stages + 2 * Panels<D, kQueries>::kElements + 2 * Panels<D, kRows>::kElements);
  float* const delta_stages = lse_stages + 2 * kQueries;
  const auto start = [&](int parity, int head, int tile) {
    const int row = tile * kQueries, rows = shape.queries - row;
    start_panels<D, kQueries, kThreads>(q_stages + parity * Panels<D, kQueries>::kElements, q.at(batch, head, row),
                                        int(q.row_stride), rows, thread);
    start_panels<D, kQueries, kThreads>(dout_stages + parity * Panels<D, kQueries>::kElements,
                                        dout.at(batch, head, row), int(dout.row_stride), rows, thread);
    const int64_t at = (int64_t(batch) * shape.heads + head) * statistics.padded + row;
    if (thread < kQueries / 4)
      cp_async_16(lse_stages + parity * kQueries + thread * 4, statistics.lse + at + thread * 4);
    else if (thread < kQueries / 2)
      cp_async_16(delta_stages + parity * kQueries + thread * 4 - kQueries,
                  statistics.delta + at + thread * 4 - kQueries);
    __syncwarp();  // only some lanes copied, and the products need the whole warp converged
  };

  Accumulator<1, D> dk_sum, dv_sum;
  clear(dk_sum);
  clear(dv_sum);
  const float scale = shape.scale * kLog2e;
  const int lane = thread % 32, warp_row = group_row + thread % kWarpgroup / 32 * 16;
  if (first_tile < end_tile) {
    start_panels<D, kGroupRows, kWarpgroup>(k_tile, k.at(batch, kv_head, first_key + group_row), int(k.row_stride),
                                            keys - group_row, thread % kWarpgroup);
    start_panels<D, kGroupRows, kWarpgroup>(v_tile, v.at(batch, kv_head, first_key + group_row), int(v.row_stride),
                                            keys - group_row, thread % kWarpgroup);
    const int first_head = kv_head * shape.group(), end_head = first_head + shape.group();
    start(0, first_head, first_tile);
    cp_async_commit();
    int head = first_head, tile = first_tile, parity = 0;
    while (head < end_head) {
      int next_head = head, next_tile = tile + 1;
      if (next_tile == end_tile) {
        next_tile = first_tile;
        ++next_head;
      }
      // This stage is visible to all products, and none still reads the previous one.
      cp_async_wait<0>();
      fence_shared_for_wgmma();
      __syncthreads();
      if (next_head < end_head) start(parity ^ 1, next_head, next_tile);
      cp_async_commit();

      const bf16* const q_tile = q_stages + parity * Panels<D, kQueries>::kElements;
      const bf16* const dout_tile = dout_stages + parity * Panels<D, kQueries>::kElements;
      const int column_of_lane = lane % 4 * 2;
      const float* const lse = lse_stages + parity * kQueries + column_of_lane;
      const float* const delta = delta_stages + parity * kQueries + column_of_lane;
      Accumulator<1, kQueries> p, ds;
      // A sum that starts there needs no subtraction later.
      each_element(ds, [&](float& x, int, int, int column) { x = -delta[column]; });
      pin(p);
      pin(ds);
      wgmma_fence();
      start_product_of_rows<D>(p, k_tile, q_tile);
      wgmma_commit();
      start_product_of_rows<D>(ds, v_tile, dout_tile, true);
      wgmma_commit();
      wgmma_wait<1>();
      pin(p);
      // The first query sees the warp's keys up to row `last`, the next one row more.
      const int last = tile * kQueries + shape.offset() - first_key - warp_row;
      if (last + kQueries - 1 >= shape.window) mask_before_window(p, last - shape.window);
      const bool masked = last < 15;
      const int bound = lane / 4 - column_of_lane - last;
      each_element(p, [&](float& score, int, int half, int column) {
        const float probability = exp2_approx(score * scale - lse[column]);
        score = masked && half * 8 + bound > column ? 0 : probability;
      });
      uint32_t p_rows[kQueries / 16][4], ds_rows[kQueries / 16][4];
      pack_rows(p_rows, p);
      wgmma_fence();
      start_product<D, kQueries>(dv_sum, p_rows, dout_tile);
      wgmma_commit();

      wgmma_wait<1>();
      pin(ds);
      multiply(ds, p);
      pack_rows(ds_rows, ds);
      wgmma_fence();
      start_product<D, kQueries>(dk_sum, ds_rows, q_tile);
      wgmma_commit();
      wgmma_wait<0>();
      pin(dk_sum);
      pin(dv_sum);
      head = next_head, tile = next_tile, parity ^= 1;
    }
  }

  const int warp_rows = keys - warp_row, first = first_key + warp_row;
  if (rotary_table) turn_back<D>(dk_sum, rotary_table, first, warp_rows);
  named_barrier(1 + group, kWarpgroup);  // no warp of the group needs its keys and values any more
  bf16* const scratch = k_tile + (warp_row - group_row) * D;
  store_rows<D>(dk.at(batch, kv_head, first), int(dk.row_stride), warp_rows, scratch, dk_sum,
                [&](int, int) { return shape.scale; });
  store_rows<D>(dv.at(batch, kv_head, first), int(dv.row_stride), warp_rows, scratch, dv_sum,
                [](int, int) { return 1.0f; });
#else
  __trap();
#endif
}

template <int D>
void launch_dkdv(const Device& device, const AttentionShape& shape, const View& dk, const View& dv, const View& dout,
                 const View& q, const View& k, const View& v, const RowStatistics& statistics,
                 const float* rotary_table) {
  using Size = KeyGradient<D>;
  const AttentionOrder order = order_by_keys(shape, Size::kRows, sizeof(bf16));
  const Launch at{order.grid, Size::kThreads, Size::key_gradient_bytes(D), device.stream};
  launch<attention_dkdv_wgmma_kernel<D>>("attention_backward", at, heads_of<bf16>(dk), heads_of<bf16>(dv),
                                         heads_of<const bf16>(dout), heads_of<const bf16>(q), heads_of<const bf16>(k),
                                         heads_of<const bf16>(v), statistics, rotary_table, shape, order);
}

}  // namespace

void attention_dkdv_wgmma(const Device& device, const AttentionShape& shape, const View& dk, const View& dv,
                          const View& dout, const View& q, const View& k, const View& v,
                          const RowStatistics& statistics, const float* rotary_table) {
  with_warpgroup_sizes(shape.head_dim, [&](auto dim) {
    launch_dkdv<decltype(dim)::value>(device, shape, dk, dv, dout, q, k, v, statistics, rotary_table);
  });
}

}  // namespace nextpatch::cuda
