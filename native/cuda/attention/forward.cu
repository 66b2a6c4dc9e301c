// Causal attention, forward, on tensor cores: a block has a tile of queries of one head and loops over the tiles of
// keys and values that they see, with as many in shared memory as its ring has slots. The softmax is online: `out` and
// the sum of exponentials are rescaled when a tile has a larger score.
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

template <int D, int Choice>
struct Forward {
  static constexpr ForwardTile kTile = attention_tiles(D).forward[Choice];
  static constexpr int kThreads = kTile.warps * 32;
  static constexpr int kSlabs = slabs(kTile.rows, kTile.warps);
  static constexpr size_t kSharedBytes = kTile.shared_bytes(D);
  // Blocks of a multiprocessor that registers are kept for. On 8.x three fit up to D = 64 without a spill; on 9.0 the
  // compiler needs more registers at D = 64, and two. A block of eight warps has all registers.
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
  static constexpr int kBlocks = kTile.warps == 8 ? 1 : D < 64 ? 3 : 2;
#else
  static constexpr int kBlocks = kTile.warps == 8 ? 1 : D <= 64 ? 3 : 2;
#endif
  static_assert(kSharedBytes <= most_shared_bytes(Choice));
};

// One block: a tile of queries of a head.
template <int D, int Choice>
__global__ void __launch_bounds__(Forward<D, Choice>::kThreads, Forward<D, Choice>::kBlocks)
    attention_forward_kernel(Heads<bf16> out, float* lse, Heads<const bf16> q, Heads<const bf16> k, Heads<const bf16> v,
                             AttentionShape shape, AttentionOrder order) {
  constexpr ForwardTile kTile = Forward<D, Choice>::kTile;
  constexpr int kThreads = Forward<D, Choice>::kThreads, kSlabs = Forward<D, Choice>::kSlabs;
  const AttentionBlock block = order.block();
  if (!block.exists) return;
  // The last queries see the most keys: their blocks start first.
  const int first_row = (order.last_tile() - block.tile) * kTile.rows;
  const int batch = block.batch, kv_head = block.kv_head, head = kv_head * shape.group() + block.head;
  const int rows = min(kTile.rows, shape.queries - first_row);
  const int first_key = shape.first_key(first_row) / kTile.keys * kTile.keys;
  const int key_tiles = (shape.end_key(first_row + rows) - first_key + kTile.keys - 1) / kTile.keys;

  bf16* const q_tile = shared_memory<bf16>();
  bf16* const ring = q_tile + kTile.rows * D;

  const bf16* const k_rows = k.at(batch, kv_head, 0);
  const bf16* const v_rows = v.at(batch, kv_head, 0);

  // The ring receives K and V tiles in turn: step 2j is K of tile j, step 2j + 1 its V.
  int filled = 0;
  const auto start = [&](int step) {
    if (step < 2 * key_tiles) {
      const int64_t stride = step % 2 == 0 ? k.row_stride : v.row_stride;
      const int key = first_key + step / 2 * kTile.keys;
      start_tile<D, kTile.keys, kThreads>(ring + filled * kTile.keys * D,
                                          (step % 2 == 0 ? k_rows : v_rows) + key * stride, int(stride),
                                          shape.keys - key);
    }
    cp_async_commit();
    filled = filled + 1 == kTile.slots ? 0 : filled + 1;
  };
  // Returns the next step's tile when it is visible to all warps. All of them are then done with the previous one,
  // whose slot is refilled.
  int taken = 0;
  const auto take = [&](int step) {
    cp_async_wait<kTile.slots - 2>();
    __syncthreads();
    start(step + kTile.slots - 1);
    bf16* const tile = ring + taken * kTile.keys * D;
    taken = taken + 1 == kTile.slots ? 0 : taken + 1;
    return tile;
  };
  if (key_tiles > 0) start_tile<D, kTile.rows, kThreads>(q_tile, q.at(batch, head, first_row), int(q.row_stride), rows);
  for (int step = 0; step < kTile.slots - 1; ++step) start(step);

  const int warp_row = int(threadIdx.x) / 32 * kSlabs * 16;
  bf16* const warp_q_tile = q_tile + warp_row * D;
  const auto q_fragments = Fragments<D>::down(warp_q_tile);
  const float scale = shape.scale * kLog2e;
  Accumulator<kSlabs, D> sum;
  clear(sum);
  OnlineSoftmax<kSlabs> softmax;
  for (int tile = 0; tile < key_tiles; ++tile) {
    // The warp's first query sees the tile's keys up to this one; each further query sees one more.
    const int last = first_row + warp_row + shape.offset() - first_key - tile * kTile.keys;
    const bool seen = warp_row < rows && !hides_all(kSlabs * 16, kTile.keys, last, shape.window);
    Accumulator<kSlabs, kTile.keys> scores;
    const bf16* const k_tile = take(2 * tile);
    if (seen) {
      clear(scores);
      add_product_of_rows(scores, q_fragments, Fragments<D>::across(k_tile));
      if (hides_some(kSlabs * 16, kTile.keys, last, shape.window)) mask(scores, last, shape.window);
      softmax.next(scores, sum, scale);
    }
    const bf16* const v_tile = take(2 * tile + 1);
    if (seen) add_product(sum, scores, Fragments<D>::down(v_tile));
  }

  softmax.finish();
  const int warp_rows = rows - warp_row, first = first_row + warp_row;
  store_rows<D>(out.at(batch, head, first), int(out.row_stride), warp_rows, warp_q_tile, sum,
                [&](int slab, int half) { return softmax.normalizer(slab, half); });
  float* const row_lse = lse + (int64_t(batch) * shape.heads + head) * shape.queries + first;
  const int lane = int(threadIdx.x) % 32;
#pragma unroll
  for (int slab = 0; slab < kSlabs; ++slab)
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      const int row = slab * 16 + half * 8 + lane / 4;
      if (lane % 4 == 0 && row < warp_rows) row_lse[row] = softmax.log_sum_exp(slab, half, scale);
    }
}

}  // namespace

void CudaKernels::attention_forward(const View& out, const View& lse, const View& q, const View& k, const View& v,
                                    float scale, int64_t window) {
  const AttentionShape shape = attention_shape(q, k, scale, window);
  if (!on_tensor_cores(scale, out, q, k, v)) return plain_attention_forward(device_, shape, out, lse, q, k, v);
  if (device_.wgmma && has_warpgroup_sizes(shape.head_dim))
    return attention_forward_wgmma(device_, shape, out, lse, q, k, v);
  with_head_dim(shape.head_dim, [&](auto dim) {
    constexpr int kDim = decltype(dim)::value;
    constexpr AttentionTiles kTiles = attention_tiles(kDim);
    constexpr bool kDiffer = !same_tile(kTiles.forward[0], kTiles.forward[1]);
    with_choice<kDiffer>(choose_tile(kTiles.forward, kDim, device_.multiprocessor_bytes), [&](auto choice) {
      constexpr int kChoice = decltype(choice)::value;
      using Config = Forward<kDim, kChoice>;
      const AttentionOrder order = order_by_queries(shape, Config::kTile.rows, sizeof(bf16));
      const Launch at{order.grid, Config::kThreads, Config::kSharedBytes, device_.stream};
      launch<attention_forward_kernel<kDim, kChoice>>("attention_forward", at, heads_of<bf16>(out), lse.as<float>(),
                                                      heads_of<const bf16>(q), heads_of<const bf16>(k),
                                                      heads_of<const bf16>(v), shape, order);
    });
  });
}

}  // namespace nextpatch::cuda
