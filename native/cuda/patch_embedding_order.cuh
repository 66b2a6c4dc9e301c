// The occurrences of all tokens ordered by token, then by position: a stable radix sort of the positions.
// A pass counts the digits of every tile, adds the counts up in order, and moves each position to where its
// rank puts it; nothing depends on which block or thread is first.
#pragma once

#include <algorithm>

#include "bad_id.cuh"
#include "block_reduce.cuh"
#include "launch.cuh"
#include "shared.cuh"

namespace nextpatch::cuda {
namespace {

constexpr int kOrderThreads = 256;
constexpr int kOrderWarps = kOrderThreads / 32;
constexpr int kOrderRounds = 8;  // positions a thread of a tile
constexpr int kOrderTile = kOrderThreads * kOrderRounds;
constexpr int kOrderBits = 9;  // of a pass, at most: two passes up to a vocabulary of 2^18 - 1

// What the positions are ordered by. Ids outside the vocabulary come last.
struct TokenKeys {
  const int* tokens;
  int vocabulary;

  __device__ int operator()(int position) const {
    const int id = tokens[position];
    return unsigned(id) < unsigned(vocabulary) ? id : vocabulary;
  }
};

// The digit of one pass; `from` is the order so far, nullptr in the first pass (that of the positions).
struct Digits {
  TokenKeys keys;
  const int* from;
  int size, shift, bins;

  __device__ int position(int i) const { return from ? from[i] : i; }
  __device__ int of(int position) const { return keys(position) >> shift & (bins - 1); }
};

// Every thread receives the sum of the values of the threads before it, and in `total` that of all.
__device__ inline int block_exclusive_sum(int value, int* scratch, int* total) {
  const int warp = int(threadIdx.x) / 32, lane = int(threadIdx.x) % 32;
  int sum = value;
  for (int lanes = 1; lanes < 32; lanes *= 2) {
    const int other = __shfl_up_sync(kAllLanes, sum, lanes);
    if (lane >= lanes) sum += other;
  }
  if (lane == 31) scratch[warp] = sum;
  __syncthreads();
  int before = 0;
  *total = 0;
  for (int w = 0; w < kOrderWarps; ++w) {
    if (w < warp) before += scratch[w];
    *total += scratch[w];
  }
  __syncthreads();
  return before + sum - value;
}

// In place: values[size] become the sums of those before them. Returns the sum of all.
__device__ inline int exclusive_sums(int* values, int size, int* scratch) {
  int carry = 0;
  for (int begin = 0; begin < size; begin += kOrderThreads) {
    const int i = begin + int(threadIdx.x);
    int total;
    const int before = block_exclusive_sum(i < size ? values[i] : 0, scratch, &total);
    if (i < size) values[i] = carry + before;
    carry += total;
  }
  return carry;
}

// One block a tile: counts[bins, tiles]. The first pass reports ids outside the vocabulary.
__global__ void __launch_bounds__(kOrderThreads)
patch_embedding_count_kernel(int* counts, Digits digits, BadId* bad) {
  int* const histogram = shared_memory<int>();
  for (int bin = int(threadIdx.x); bin < digits.bins; bin += kOrderThreads) histogram[bin] = 0;
  __syncthreads();
  const int begin = int(blockIdx.x) * kOrderTile, end = min(begin + kOrderTile, digits.size);
  for (int i = begin + int(threadIdx.x); i < end; i += kOrderThreads) {
    const int position = digits.position(i);
    if (!digits.from && digits.keys(position) == digits.keys.vocabulary)
      report_bad_id(bad, BadId::token_id, position, digits.keys.tokens[position], digits.keys.vocabulary);
    atomicAdd(histogram + digits.of(position), 1);
  }
  __syncthreads();
  for (int bin = int(threadIdx.x); bin < digits.bins; bin += kOrderThreads)
    counts[int64_t(bin) * gridDim.x + blockIdx.x] = histogram[bin];
}

// One block a bin: its counts become sums over the tiles before; totals[bins].
__global__ void __launch_bounds__(kOrderThreads) patch_embedding_scan_kernel(int* counts, int* totals, int tiles) {
  const int total = exclusive_sums(counts + int64_t(blockIdx.x) * tiles, tiles, shared_memory<int>());
  if (threadIdx.x == 0) totals[blockIdx.x] = total;
}

// Lanes of the warp that are in and have this lane's digit.
__device__ inline unsigned lanes_with(int digit, bool in, int bins) {
  unsigned lanes = __ballot_sync(kAllLanes, in);
  for (int bit = 1; bit < bins; bit *= 2) {
    const unsigned ones = __ballot_sync(kAllLanes, (digit & bit) != 0);
    lanes &= digit & bit ? ones : ~ones;
  }
  return lanes;
}

// One block a tile; a warp goes through its part of it in order. Shared memory: kOrderWarps + bins * (1 +
// kOrderWarps) integers.
__global__ void __launch_bounds__(kOrderThreads, 4)
patch_embedding_scatter_kernel(int* to, Digits digits, const int* counts, const int* totals) {
  const int warp = int(threadIdx.x) / 32, lane = int(threadIdx.x) % 32, bins = digits.bins;
  int* const scratch = shared_memory<int>();
  int* const starts = scratch + kOrderWarps;           // [bins]: where the bin's positions begin
  int* const next = starts + bins + int64_t(warp) * bins;  // [bins]: where the warp's next position goes
  for (int bin = int(threadIdx.x); bin < bins; bin += kOrderThreads) starts[bin] = totals[bin];
  for (int bin = lane; bin < bins; bin += 32) next[bin] = 0;
  __syncthreads();
  exclusive_sums(starts, bins, scratch);

  const int begin = int(blockIdx.x) * kOrderTile + warp * 32 * kOrderRounds;
  int position[kOrderRounds], digit[kOrderRounds];
#pragma unroll
  for (int round = 0; round < kOrderRounds; ++round) {
    const int i = begin + round * 32 + lane;
    position[round] = i < digits.size ? digits.position(i) : -1;
    digit[round] = i < digits.size ? digits.of(position[round]) : 0;
    if (i < digits.size) atomicAdd(next + digit[round], 1);
  }
  __syncthreads();
  for (int bin = int(threadIdx.x); bin < bins; bin += kOrderThreads) {
    int at = starts[bin] + counts[int64_t(bin) * gridDim.x + blockIdx.x];
    for (int w = 0; w < kOrderWarps; ++w) {
      int* const of_warp = starts + bins + int64_t(w) * bins + bin;
      const int count = *of_warp;
      *of_warp = at;
      at += count;
    }
  }
  __syncthreads();
#pragma unroll
  for (int round = 0; round < kOrderRounds; ++round) {
    const bool in = position[round] >= 0;
    const unsigned same = lanes_with(digit[round], in, bins);
    const int before = __popc(same & ((1u << lane) - 1));
    if (in) to[next[digit[round]] + before] = position[round];
    __syncwarp();
    if (in && before == 0) next[digit[round]] += __popc(same);
    __syncwarp();
  }
}

// How many passes over how many bits order a vocabulary, and what they need.
struct OrderPlan {
  int passes, bits;
  int64_t tiles;

  OrderPlan(int64_t tokens, int64_t vocabulary) : passes(1), bits(1), tiles((tokens + kOrderTile - 1) / kOrderTile) {
    int key_bits = 1;
    while (vocabulary >> key_bits) ++key_bits;  // the key of a bad id is the vocabulary's size
    passes = (key_bits + kOrderBits - 1) / kOrderBits;
    bits = (key_bits + passes - 1) / passes;
  }
  int64_t bins() const { return int64_t(1) << bits; }
  // Integers for counts and totals.
  int64_t scratch() const { return bins() * (tiles + 1); }
};

// order[tokens] receives the positions; `other`, as large, and `scratch` are workspace.
inline void order_by_token(const char* operation, const OrderPlan& plan, const TokenKeys& keys, int size, int* order,
                           int* other, int* scratch, BadId* bad, cudaStream_t stream) {
  const unsigned bins = unsigned(plan.bins()), tiles = unsigned(plan.tiles);
  int* const totals = scratch + plan.bins() * plan.tiles;
  const size_t scan_bytes = kOrderWarps * sizeof(int), bin_bytes = bins * sizeof(int);
  const int* from = nullptr;
  // The passes take turns so that the last one writes `order`.
  int* to = plan.passes % 2 == 1 ? order : other;
  for (int pass = 0; pass < plan.passes; ++pass) {
    const Digits digits{keys, from, size, pass * plan.bits, int(bins)};
    launch<patch_embedding_count_kernel>(operation, {tiles, kOrderThreads, bin_bytes, stream}, scratch, digits, bad);
    launch<patch_embedding_scan_kernel>(operation, {bins, kOrderThreads, scan_bytes, stream}, scratch, totals,
                                        int(tiles));
    launch<patch_embedding_scatter_kernel>(operation,
                                           {tiles, kOrderThreads, scan_bytes + (1 + kOrderWarps) * bin_bytes, stream},
                                           to, digits, scratch, totals);
    from = to;
    to = to == order ? other : order;
  }
}

}  // namespace
}  // namespace nextpatch::cuda
