// Causal attention, backward, with a warpgroup's products (compute capability 9.0): dQ; backward.cu has the formulas. A
// block's warpgroups keep 64 queries of a head each and go together through the keys that they see.
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
using QueryGradient = typename WarpgroupSizes<D>::QueryGradient;

// One block: a tile of queries of a head.
template <int D>
__global__ void __launch_bounds__(QueryGradient<D>::kThreads, QueryGradient<D>::kBlocks)
    attention_dq_wgmma_kernel(Heads<bf16> dq, Heads<const bf16> dout, Heads<const bf16> q, Heads<const bf16> k,
                              Heads<const bf16> v, RowStatistics statistics, const float* rotary_table,
                              AttentionShape shape, AttentionOrder order) {
#if NEXTPATCH_WGMMA
  using Size = QueryGradient<D>;
  constexpr int kRows = Size::kRows, kKeys = Size::kColumns, kThreads = Size::kThreads, kStages = Size::kStages;
  const AttentionBlock block = order.block();
  if (!block.exists) return;
  // The last queries see the most keys.
  const int first_row = (order.last_tile() - block.tile) * kRows;
  const int batch = block.batch, kv_head = block.kv_head, head = kv_head * shape.group() + block.head;
  const int rows = min(kRows, shape.queries - first_row);
  const int first_tile = shape.first_key(first_row) / kKeys;
  const int end_tile = (shape.end_key(first_row + rows) + kKeys - 1) / kKeys;

  const int thread = int(threadIdx.x), group = thread / kWarpgroup, group_row = group * kGroupRows;
  bf16* const k_stages = shared_memory<bf16>();
  bf16* const v_stages = k_stages + kStages * Panels<D, kKeys>::kElements;
  bf16* const q_tile =
      v_stages + kStages * Panels<D, kKeys>::kElements + group * 2 * Panels<D, kGroupRows>::kElements;  // this group's
  bf16* const dout_tile = q_tile + Panels<D, kGroupRows>::kElements;
  const auto start = [&](int tile) {
    const int at = tile % kStages * Panels<D, kKeys>::kElements, key = tile * kKeys, keys = shape.keys - key;
    start_panels<D, kKeys, kThreads>(k_stages + at, k.at(batch, kv_head, key), int(k.row_stride), keys, thread);
    start_panels<D, kKeys, kThreads>(v_stages + at, v.at(batch, kv_head, key), int(v.row_stride), keys, thread);
  };

  const int lane = thread % 32, warp_row = group_row + thread % kWarpgroup / 32 * 16, warp_rows = rows - warp_row;
  const float scale = shape.scale * kLog2e;
  float lse[2], delta[2];
  const int64_t statistics_at = (int64_t(batch) * shape.heads + head) * statistics.padded + first_row + warp_row;
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    const int row = half * 8 + lane / 4;
    lse[half] = row < warp_rows ? statistics.lse[statistics_at + row] : INFINITY;
    delta[half] = row < warp_rows ? statistics.delta[statistics_at + row] : 0;
  }
  Accumulator<1, D> dq_sum;
  clear(dq_sum);
  if (first_tile < end_tile) {
    start_panels<D, kGroupRows, kWarpgroup>(q_tile, q.at(batch, head, first_row + group_row), int(q.row_stride),
                                            rows - group_row, thread % kWarpgroup);
    start_panels<D, kGroupRows, kWarpgroup>(dout_tile, dout.at(batch, head, first_row + group_row),
                                            int(dout.row_stride), rows - group_row, thread % kWarpgroup);
    start(first_tile);
    cp_async_commit();
  }
  for (int tile = first_tile; tile < end_tile; ++tile) {
    // This stage is visible to all products, and none still reads the previous one.
    cp_async_wait<0>();
    fence_shared_for_wgmma();
    __syncthreads();
    if (tile + 1 < end_tile) start(tile + 1);
    cp_async_commit();

    const bf16* const k_tile = k_stages + tile % kStages * Panels<D, kKeys>::kElements;
    const bf16* const v_tile = v_stages + tile % kStages * Panels<D, kKeys>::kElements;
    Accumulator<1, kKeys> p, ds;
    // A sum that starts there needs no subtraction later.
    each_element(ds, [&](float& x, int, int half, int) { x = -delta[half]; });
    pin(p);
    pin(ds);
    wgmma_fence();
    start_product_of_rows<D>(p, q_tile, k_tile);
    wgmma_commit();
    start_product_of_rows<D>(ds, dout_tile, v_tile, true);
    wgmma_commit();
    wgmma_wait<1>();
    pin(p);
    const int last = first_row + warp_row + shape.offset() - tile * kKeys;
    if (hides_some(16, kKeys, last, shape.window)) mask(p, last, shape.window);
    each_element(p, [&](float& x, int, int half, int) { x = exp2_approx(x * scale - lse[half]); });
    wgmma_wait<0>();
    pin(ds);
    multiply(ds, p);
    uint32_t ds_rows[kKeys / 16][4];
    pack_rows(ds_rows, ds);
    wgmma_fence();
    start_product<D, kKeys>(dq_sum, ds_rows, k_tile);
    wgmma_commit();
    if constexpr (kStages == 2) {
      wgmma_wait<0>();
      pin(dq_sum);
    }
  }
  wgmma_wait<0>();
  pin(dq_sum);

  const int first = first_row + warp_row;
  if (rotary_table) turn_back<D>(dq_sum, rotary_table, first + shape.offset(), warp_rows);
  named_barrier(1 + group, kWarpgroup);  // no warp of the group needs its queries any more
  store_rows<D>(dq.at(batch, head, first), int(dq.row_stride), warp_rows, q_tile + (warp_row - group_row) * D, dq_sum,
                [&](int, int) { return shape.scale; });
#else
  __trap();
#endif
}

template <int D>
void launch_dq(const Device& device, const AttentionShape& shape, const View& dq, const View& dout, const View& q,
               const View& k, const View& v, const RowStatistics& statistics, const float* rotary_table) {
  using Size = QueryGradient<D>;
  const AttentionOrder order = order_by_queries(shape, Size::kRows, sizeof(bf16));
  const Launch at{order.grid, Size::kThreads, Size::query_gradient_bytes(D), device.stream};
  launch<attention_dq_wgmma_kernel<D>>("attention_backward", at, heads_of<bf16>(dq), heads_of<const bf16>(dout),
                                       heads_of<const bf16>(q), heads_of<const bf16>(k), heads_of<const bf16>(v),
                                       statistics, rotary_table, shape, order);
}

}  // namespace

void attention_dq_wgmma(const Device& device, const AttentionShape& shape, const View& dq, const View& dout,
                        const View& q, const View& k, const View& v, const RowStatistics& statistics,
                        const float* rotary_table) {
  with_warpgroup_sizes(shape.head_dim, [&](auto dim) {
    launch_dq<decltype(dim)::value>(device, shape, dq, dout, q, k, v, statistics, rotary_table);
  });
}

}  // namespace nextpatch::cuda
