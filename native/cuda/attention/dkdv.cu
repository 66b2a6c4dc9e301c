// Causal attention, backward: dK and dV on tensor cores; backward.cu has the formulas. One block keeps a tile of keys,
// loops over the queries of all heads that read it, and sums dK and dV in registers. Scores are transposed (keys are
// rows), so that the registers with one product's result are the operand of the next.
//
// A fragment of q or dout that is read from shared memory should serve two products, or reading them takes longer than
// multiplying: so a warp has 32 keys. Both sums of 32 keys fit into a warp's registers for D <= 64. For larger D two
// warps share 32 keys:
//   the first   p = exp(scale k q^T - lse),   dv += p dout
//   the second  ds = p * (v dout^T - delta),  dk += ds q
// and p goes from the first to the second through shared memory, in f32, so that the bits are those of one warp. (At
// D = 256 two warps share 16 keys, whose sums fill their registers.)
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
struct KeyGradient {
  static constexpr KeyGradientTile kTile = attention_tiles(D).key_gradient[Choice];
  static constexpr int kThreads = kTile.warps * 32;
  static constexpr int kSlabs = slabs(kTile.rows, kTile.warps / kTile.sharers);
  static constexpr size_t kStageBytes = kTile.stage_bytes(D);
  static constexpr size_t kSharedBytes = kTile.shared_bytes(D);
  static_assert(kSharedBytes <= most_shared_bytes(Choice));
  static_assert(kRowPadding % kTile.queries == 0, "a stage's statistics lie within the padding");
};

template <int Queries, int Threads>
__device__ __forceinline__ void start_statistics(float* to, const float* from) {
  for (int i = int(threadIdx.x) * 4; i < Queries; i += Threads * 4) cp_async_16(to + i, from + i);
}

// A warp's probabilities, from scores of its keys and a stage's queries. The first query sees the keys up to row
// `last`, the next one row more.
template <int Slabs, int Tiles>
__device__ __forceinline__ void exponentiate(float (&x)[Slabs][Tiles][4], const float* lse, float scale, int last,
                                             int window) {
  if (last + Tiles * 8 - 1 >= window) mask_before_window(x, last - window);
  const int lane = int(threadIdx.x) % 32, column_of_lane = lane % 4 * 2;
  const bool masked = last < Slabs * 16 - 1;
  const int bound = lane / 4 - column_of_lane - last;
  each_element(x, [&](float& score, int slab, int half, int column) {
    const float probability = exp2_approx(score * scale - lse[column + column_of_lane]);
    score = masked && slab * 16 + half * 8 + bound > column ? 0 : probability;
  });
}

// x = -delta of each column's query: an accumulator that starts there needs no subtraction later.
template <int Slabs, int Tiles>
__device__ __forceinline__ void start_at_minus_delta(float (&x)[Slabs][Tiles][4], const float* delta) {
  const int column_of_lane = int(threadIdx.x) % 4 * 2;
  each_element(x, [&](float& value, int, int, int column) { value = -delta[column + column_of_lane]; });
}

// One block: a tile of keys of a key head.
template <int D, int Choice>
__global__ void __launch_bounds__(KeyGradient<D, Choice>::kThreads)
    attention_dkdv_kernel(Heads<bf16> dk, Heads<bf16> dv, Heads<const bf16> dout, Heads<const bf16> q,
                          Heads<const bf16> k, Heads<const bf16> v, RowStatistics statistics, const float* rotary_table,
                          AttentionShape shape, AttentionOrder order) {
  constexpr KeyGradientTile kTile = KeyGradient<D, Choice>::kTile;
  constexpr int kThreads = KeyGradient<D, Choice>::kThreads, kSlabs = KeyGradient<D, Choice>::kSlabs;
  const AttentionBlock block = order.block();
  if (!block.exists) return;
  // The first keys are seen by the most queries: their blocks start first.
  const int first_key = block.tile * kTile.rows;
  const int kv_head = block.kv_head, batch = block.batch, first_head = kv_head * shape.group();
  const int keys = min(kTile.rows, shape.keys - first_key);
  const int first_tile = shape.first_query(first_key) / kTile.queries;
  const int end_tile = (shape.end_query(first_key + keys) + kTile.queries - 1) / kTile.queries;

  bf16* const k_tile = shared_memory<bf16>();
  bf16* const v_tile = k_tile + kTile.rows * D;
  char* const stages = reinterpret_cast<char*>(v_tile + kTile.rows * D);
  struct Stage {
    bf16 *q, *dout;
    float *lse, *delta;
  };
  const auto stage = [&](int parity) {
    bf16* const q_tile = reinterpret_cast<bf16*>(stages + parity * KeyGradient<D, Choice>::kStageBytes);
    bf16* const dout_tile = q_tile + kTile.queries * D;
    float* const lse = reinterpret_cast<float*>(dout_tile + kTile.queries * D);
    return Stage{q_tile, dout_tile, lse, lse + kTile.queries};
  };
  const auto start = [&](int parity, int head, int tile) {
    const Stage to = stage(parity);
    const int row = tile * kTile.queries, rows = shape.queries - row;
    start_tile<D, kTile.queries, kThreads>(to.q, q.at(batch, head, row), int(q.row_stride), rows);
    start_tile<D, kTile.queries, kThreads>(to.dout, dout.at(batch, head, row), int(dout.row_stride), rows);
    const int64_t at = (int64_t(batch) * shape.heads + head) * statistics.padded + row;
    start_statistics<kTile.queries, kThreads>(to.lse, statistics.lse + at);
    start_statistics<kTile.queries, kThreads>(to.delta, statistics.delta + at);
    __syncwarp();  // only some lanes copied, and the products need the whole warp converged
  };

  constexpr int kOwners = kTile.warps / kTile.sharers;  // groups of warps with keys of their own
  const int warp = int(threadIdx.x) / 32, lane = int(threadIdx.x) % 32, owner = warp % kOwners,
            warp_row = owner * kSlabs * 16;
  const float scale = shape.scale * kLog2e;

  // Goes through the heads of the group one after another, each with its tiles of queries, and calls
  // products(stage, last) for each that the warp's keys are seen from.
  const auto for_each_stage = [&](const auto& products) {
    if (first_tile >= end_tile) return;
    start_tile<D, kTile.rows, kThreads>(k_tile, k.at(batch, kv_head, first_key), int(k.row_stride), keys);
    start_tile<D, kTile.rows, kThreads>(v_tile, v.at(batch, kv_head, first_key), int(v.row_stride), keys);
    start(0, first_head, first_tile);
    cp_async_commit();
    const int end_head = first_head + shape.group();
    int head = first_head, tile = first_tile, parity = 0;
    while (head < end_head) {
      int next_head = head, next_tile = tile + 1;
      if (next_tile == end_tile) {
        next_tile = first_tile;
        ++next_head;
      }
      // This step's tiles are visible to all warps, and no warp still reads the previous stage.
      cp_async_wait<0>();
      __syncthreads();
      if (next_head < end_head) start(parity ^ 1, next_head, next_tile);
      cp_async_commit();
      const int last = tile * kTile.queries + shape.offset() - first_key - warp_row;
      if (warp_row < keys && !hides_all(kTile.queries, kSlabs * 16, last, shape.window)) products(stage(parity), last);
      head = next_head, tile = next_tile, parity ^= 1;
    }
  };
  const int warp_rows = keys - warp_row, first = first_key + warp_row;

  if constexpr (kTile.sharers == 1) {
    const auto k_fragments = Fragments<D>::down(k_tile + warp_row * D);
    const auto v_fragments = Fragments<D>::down(v_tile + warp_row * D);
    Accumulator<kSlabs, D> dk_sum, dv_sum;
    clear(dk_sum);
    clear(dv_sum);
    for_each_stage([&](const Stage& now, int last) {
      Accumulator<kSlabs, kTile.queries> p, ds;
      clear(p);
      add_product_of_rows(p, k_fragments, Fragments<D>::across(now.q));
      exponentiate(p, now.lse, scale, last, shape.window);
      add_product<D>(dv_sum, p, Fragments<D>::down(now.dout));
      start_at_minus_delta(ds, now.delta);
      add_product_of_rows(ds, v_fragments, Fragments<D>::across(now.dout));
      multiply(ds, p);
      add_product<D>(dk_sum, ds, Fragments<D>::down(now.q));
    });
    if (rotary_table) turn_back<D>(dk_sum, rotary_table, first, warp_rows);
    store_rows<D>(dk.at(batch, kv_head, first), int(dk.row_stride), warp_rows, k_tile + warp_row * D, dk_sum,
                  [&](int, int) { return shape.scale; });
    store_rows<D>(dv.at(batch, kv_head, first), int(dv.row_stride), warp_rows, v_tile + warp_row * D, dv_sum,
                  [](int, int) { return 1.0f; });
  } else {
    // The same instructions for both warps: only the tiles that they read differ.
    const bool sums_dv = warp < kOwners;
    float4* const sent = reinterpret_cast<float4*>(stages + 2 * KeyGradient<D, Choice>::kStageBytes) +
                         owner * kSlabs * kTile.queries * 4 / kTile.sends;
    bf16* const own_rows = (sums_dv ? k_tile : v_tile) + warp_row * D;
    const auto own = Fragments<D>::down(own_rows);
    Accumulator<kSlabs, D> sum;
    clear(sum);
    for_each_stage([&](const Stage& now, int last) {
      Accumulator<kSlabs, kTile.queries> x;
      if (sums_dv) {
        clear(x);
      } else {
        start_at_minus_delta(x, now.delta);
      }
      add_product_of_rows(x, own, Fragments<D>::across(sums_dv ? now.q : now.dout));
      const auto meet = [&] { named_barrier(1 + owner, 64); };
      if (sums_dv) exponentiate(x, now.lse, scale, last, shape.window);
      constexpr int kQuads = kSlabs * kTile.queries / 8 / kTile.sends;
#pragma unroll
      for (int part = 0; part < kTile.sends; ++part) {
        if (part > 0) meet();  // the part before has been read
        if (sums_dv) {
          each_quad(x, [&](float (&quad)[4], int i) {
            if (i / kQuads == part) sent[i % kQuads * 32 + lane] = {quad[0], quad[1], quad[2], quad[3]};
          });
        }
        // It has been sent. The last is read before the next step's __syncthreads, after which the next is sent.
        meet();
        if (!sums_dv) {
          each_quad(x, [&](float (&quad)[4], int i) {
            if (i / kQuads != part) return;
            const float4 p = sent[i % kQuads * 32 + lane];
            quad[0] *= p.x, quad[1] *= p.y, quad[2] *= p.z, quad[3] *= p.w;
          });
        }
      }
      add_product<D>(sum, x, Fragments<D>::down(sums_dv ? now.dout : now.q));
    });
    const Heads<bf16>& to = sums_dv ? dv : dk;
    if (rotary_table && !sums_dv) turn_back<D>(sum, rotary_table, first, warp_rows);
    const float factor = sums_dv ? 1.0f : shape.scale;
    store_rows<D>(to.at(batch, kv_head, first), int(to.row_stride), warp_rows, own_rows, sum,
                  [&](int, int) { return factor; });
  }
}

template <int D>
void launch_dkdv(const Device& device, const AttentionShape& shape, const View& dk, const View& dv, const View& dout,
                 const View& q, const View& k, const View& v, const RowStatistics& statistics,
                 const float* rotary_table) {
  constexpr AttentionTiles kTiles = attention_tiles(D);
  constexpr bool kDiffer = !same_tile(kTiles.key_gradient[0], kTiles.key_gradient[1]);
  with_choice<kDiffer>(choose_tile(kTiles.key_gradient, D, device.multiprocessor_bytes), [&](auto choice) {
    using Keys = KeyGradient<D, decltype(choice)::value>;
    const AttentionOrder order = order_by_keys(shape, Keys::kTile.rows, sizeof(bf16));
    const Launch at{order.grid, Keys::kThreads, Keys::kSharedBytes, device.stream};
    launch<attention_dkdv_kernel<D, decltype(choice)::value>>(
        "attention_backward", at, heads_of<bf16>(dk), heads_of<bf16>(dv), heads_of<const bf16>(dout),
        heads_of<const bf16>(q), heads_of<const bf16>(k), heads_of<const bf16>(v), statistics, rotary_table, shape,
        order);
  });
}

}  // namespace

void attention_dkdv(const Device& device, const AttentionShape& shape, const View& dk, const View& dv, const View& dout,
                    const View& q, const View& k, const View& v, const RowStatistics& statistics,
                    const float* rotary_table) {
  with_head_dim(shape.head_dim, [&](auto dim) {
    launch_dkdv<decltype(dim)::value>(device, shape, dk, dv, dout, q, k, v, statistics, rotary_table);
  });
}

}  // namespace nextpatch::cuda
