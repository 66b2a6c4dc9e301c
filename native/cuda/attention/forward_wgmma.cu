// Causal attention, forward, with a warpgroup's products (compute capability 9.0). A block's warpgroups have 64 queries
// each and go through the keys together. While a tile's scores become probabilities, the previous tile's are multiplied
// with its values.
#include "../cuda_kernels.h"
#include "../launch.cuh"
#include "../shared.cuh"
#include "attention.h"
#include "softmax.cuh"
#include "warpgroup.cuh"
#include "warpgroup_sizes.cuh"

namespace nextpatch::cuda {
namespace {

template <int D>
using Forward = typename WarpgroupSizes<D>::Forward;

// One block: a tile of queries of a head.
template <int D>
__global__ void __launch_bounds__(Forward<D>::kThreads, Forward<D>::kBlocks)
    attention_forward_wgmma_kernel(Heads<bf16> out, float* lse, Heads<const bf16> q, Heads<const bf16> k,
                                   Heads<const bf16> v, AttentionShape shape, AttentionOrder order) {
#if NEXTPATCH_WGMMA
  using Size = Forward<D>;
  constexpr int kRows = Size::kRows, kKeys = Size::kColumns, kThreads = Size::kThreads;
  static_assert(Size::kStages == 2, "tiles take turns in two stages");
  const AttentionBlock block = order.block();
  if (!block.exists) return;
  // The last queries see the most keys: their blocks start first.
  const int first_row = (order.last_tile() - block.tile) * kRows;
  const int batch = block.batch, kv_head = block.kv_head, head = kv_head * shape.group() + block.head;
  const int rows = min(kRows, shape.queries - first_row);
  const int first_tile = shape.first_key(first_row) / kKeys;
  const int end_tile = (shape.end_key(first_row + rows) + kKeys - 1) / kKeys;

  const int thread = int(threadIdx.x), group = thread / kWarpgroup, group_row = group * kGroupRows;
  bf16* const k_ring = shared_memory<bf16>();
  bf16* const v_ring = k_ring + 2 * Panels<D, kKeys>::kElements;
  bf16* const q_tile =
      v_ring + 2 * Panels<D, kKeys>::kElements + group * Panels<D, kGroupRows>::kElements;  // this group's
  const auto start = [&](bf16* ring, const Heads<const bf16>& from, int tile) {
    const int key = tile * kKeys;
    start_panels<D, kKeys, kThreads>(ring + tile % 2 * Panels<D, kKeys>::kElements, from.at(batch, kv_head, key),
                                     int(from.row_stride), shape.keys - key, thread);
  };

  Accumulator<1, D> sum;
  clear(sum);
  OnlineSoftmax<1> softmax;
  const float scale = shape.scale * kLog2e;
  const int warp_row = group_row + thread % kWarpgroup / 32 * 16;
  if (first_tile < end_tile) {
    start_panels<D, kGroupRows, kWarpgroup>(q_tile, q.at(batch, head, first_row + group_row), int(q.row_stride),
                                            rows - group_row, thread % kWarpgroup);
    start(k_ring, k, first_tile);
    cp_async_commit();
    // The next tiles are visible to all products, and none still reads the ones before.
    const auto arrive = [&] {
      cp_async_wait<0>();
      fence_shared_for_wgmma();
      __syncthreads();
    };
    // The queries stay in registers: the products then read only keys and values from shared memory.
    uint32_t q_rows[D / 16][4], p[kKeys / 16][4];
    arrive();
    load_rows<D>(q_rows, q_tile);
    for (int tile = first_tile; tile < end_tile; ++tile) {
      arrive();
      if (tile + 1 < end_tile) start(k_ring, k, tile + 1);
      start(v_ring, v, tile);
      cp_async_commit();
      Accumulator<1, kKeys> scores;
      pin(scores);
      pin(sum);
      wgmma_fence();
      const bf16* const k_tile = k_ring + tile % 2 * Panels<D, kKeys>::kElements;
      start_product_of_rows<D>(scores, q_rows, k_tile);
      wgmma_commit();
      if (tile > first_tile) start_product<D, kKeys>(sum, p, v_ring + (tile - 1) % 2 * Panels<D, kKeys>::kElements);
      wgmma_commit();
      wgmma_wait<1>();
      pin(scores);
      const int last = first_row + warp_row + shape.offset() - tile * kKeys;
      if (hides_some(16, kKeys, last, shape.window)) mask(scores, last, shape.window);
      softmax.next(scores, scale);
      wgmma_wait<0>();
      pin(sum);
      softmax.rescale(sum);
      pack_rows(p, scores);
    }
    arrive();
    pin(sum);
    wgmma_fence();
    start_product<D, kKeys>(sum, p, v_ring + (end_tile - 1) % 2 * Panels<D, kKeys>::kElements);
    wgmma_commit();
    wgmma_wait<0>();
    pin(sum);
  }

  softmax.finish();
  const int warp_rows = rows - warp_row, first = first_row + warp_row, lane = thread % 32;
  named_barrier(1 + group, kWarpgroup);  // every warp of the group has its queries in registers
  store_rows<D>(out.at(batch, head, first), int(out.row_stride), warp_rows, q_tile + (warp_row - group_row) * D, sum,
                [&](int slab, int half) { return softmax.normalizer(slab, half); });
  float* const row_lse = lse + (int64_t(batch) * shape.heads + head) * shape.queries + first;
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    const int row = half * 8 + lane / 4;
    if (lane % 4 == 0 && row < warp_rows) row_lse[row] = softmax.log_sum_exp(0, half, scale);
  }
#else
  __trap();
#endif
}

template <int D>
void launch_forward(const Device& device, const AttentionShape& shape, const View& out, const View& lse, const View& q,
                    const View& k, const View& v) {
  using Size = Forward<D>;
  const AttentionOrder order = order_by_queries(shape, Size::kRows, sizeof(bf16));
  const Launch at{order.grid, Size::kThreads, Size::forward_bytes(D), device.stream};
  launch<attention_forward_wgmma_kernel<D>>("attention_forward", at, heads_of<bf16>(out), lse.as<float>(),
                                            heads_of<const bf16>(q), heads_of<const bf16>(k), heads_of<const bf16>(v),
                                            shape, order);
}

}  // namespace

void attention_forward_wgmma(const Device& device, const AttentionShape& shape, const View& out, const View& lse,
                             const View& q, const View& k, const View& v) {
  with_warpgroup_sizes(shape.head_dim,
                       [&](auto dim) { launch_forward<decltype(dim)::value>(device, shape, out, lse, q, k, v); });
}

}  // namespace nextpatch::cuda
