// Orders the occurrences of all tokens by token, and those of a token by position.
//
// Tokens are assigned to buckets by their low bits (frequent ones, which have low ids, to different buckets), and each
// block orders one bucket: it reads all tokens, counts those of the earlier buckets, which gives the start of its own,
// collects the positions of its own, and sorts them by the other bits with a stable sort. One launch, because the cost
// of ordering is the cost of launching. Every block reads all tokens, but from the cache, not memory: a tenth of what
// the later sums read, at C = 1024. Nothing depends on which block or thread is first.
#pragma once

#include <algorithm>

#include "bad_id.cuh"
#include "block_reduce.cuh"
#include "launch.cuh"
#include "shared.cuh"

namespace nextpatch::cuda {
namespace {

constexpr int kOrderThreads = 1024;
constexpr int kOrderWarps = kOrderThreads / 32;
constexpr int kSortWarps = 16;      // of them sort: each has its own counts in shared memory
constexpr int kSortAhead = 4;       // positions in flight per lane
constexpr int kMostBucketBits = 7;  // 128 blocks
constexpr int kMostDigitBits = 10;  // a bucket is sorted in one pass up to a vocabulary of 2^17 - 1
constexpr int kLeastInBucket = 64;  // on average, below which there are fewer buckets

// Ids outside the vocabulary count as one extra token.
struct TokenKeys {
  const int* tokens;
  int vocabulary;

  __device__ int operator()(int position) const {
    const int id = tokens[position];
    return unsigned(id) < unsigned(vocabulary) ? id : vocabulary;
  }
};

// How tokens are divided into buckets, and a bucket's keys into digits. A function of the shape.
struct OrderPlan {
  int bucket_bits = 0, digit_bits = 1, passes = 1;

  OrderPlan(int64_t tokens, int64_t vocabulary) {
    while (bucket_bits < kMostBucketBits && tokens >> bucket_bits > kLeastInBucket) ++bucket_bits;
    int key_bits = 1;
    while (vocabulary >> key_bits) ++key_bits;  // the key of a bad id is the vocabulary's size
    const int rest = std::max(1, key_bits - bucket_bits);
    passes = (rest + kMostDigitBits - 1) / kMostDigitBits;
    digit_bits = (rest + passes - 1) / passes;
  }

  __host__ __device__ int bins() const { return 1 << digit_bits; }
};

// A position's bin in a pass of the sort.
struct Digits {
  TokenKeys keys;
  int shift, bins;

  __device__ int of(int key) const { return key >> shift & (bins - 1); }
};

// Every thread receives the sum of the values of the threads before it, and in `total` that of all.
__device__ inline int block_exclusive_sum(int value, int* scratch, int* total) {
  const int warp = int(threadIdx.x) / 32, lane = int(threadIdx.x) % 32;
  int sum = value;
#pragma unroll
  for (int lanes = 1; lanes < 32; lanes *= 2) {
    const int other = __shfl_up_sync(kAllLanes, sum, lanes);
    if (lane >= lanes) sum += other;
  }
  if (lane == 31) scratch[warp] = sum;
  __syncthreads();
  const int of_warp = scratch[lane];
  *total = warp_sum(of_warp);
  const int before = warp_sum(lane < warp ? of_warp : 0);
  __syncthreads();
  return before + sum - value;
}

// The lanes of the warp with `in` that have this lane's digit.
__device__ inline unsigned lanes_with(int digit, bool in, int bins) {
  unsigned lanes = __ballot_sync(kAllLanes, in);
  for (int bit = 1; bit < bins; bit *= 2) {
    const unsigned ones = __ballot_sync(kAllLanes, (digit & bit) != 0);
    lanes &= digit & bit ? ones : ~ones;
  }
  return lanes;
}

__device__ inline unsigned lanes_before() { return (1u << threadIdx.x % 32) - 1; }

// The block's bucket: list[start, start + size) receives its positions, in order.
struct Bucket {
  int start, size;
};
__device__ inline Bucket collect(int* list, const TokenKeys& keys, int size, int* scratch, BadId* bad) {
  const int warp = int(threadIdx.x) / 32, lane = int(threadIdx.x) % 32;
  const int bucket = int(blockIdx.x), mask = int(gridDim.x) - 1;
  // Each warp takes a part of the tokens.
  const int64_t part = (int64_t(size) + kOrderThreads - 1) / kOrderThreads * 32;
  const int begin = int(min(int64_t(size), warp * part)), end = int(min(int64_t(size), (warp + 1) * part));
  int before = 0, own = 0;
#pragma unroll 4
  for (int i = begin + lane; i < end; i += 32) {
    const int other = keys(i) & mask;
    before += other < bucket;
    own += other == bucket;
  }
  int own_total, before_total;
  const int own_before = block_exclusive_sum(warp_sum(own) * (lane == 0), scratch, &own_total);
  block_exclusive_sum(before, scratch, &before_total);
  if (own_total == 0) return {before_total, 0};

  // Lane 0 has the count of all earlier warps; the others also include their own warp's.
  int at = before_total + __shfl_sync(kAllLanes, own_before, 0);
#pragma unroll 4
  for (int first = begin; first < end; first += 32) {
    const int i = first + lane, key = i < end ? keys(i) : 0;
    const bool in = i < end && (key & mask) == bucket;
    const unsigned lanes = __ballot_sync(kAllLanes, in);
    if (in) {
      list[at + __popc(lanes & lanes_before())] = i;
      if (key == keys.vocabulary) report_bad_id(bad, BadId::token_id, i, keys.tokens[i], keys.vocabulary);
    }
    at += __popc(lanes);
  }
  __syncthreads();
  return {before_total, own_total};
}

// to[size] = from[size] sorted by digit, stable; if `sorted`, writes their tokens there. Shared memory: scratch,
// kOrderWarps integers, and counts[kSortWarps, bins].
__device__ inline void sort_pass(int* to, int* sorted, const int* from, int size, const Digits& digits, int* scratch) {
  const int warp = int(threadIdx.x) / 32, lane = int(threadIdx.x) % 32, bins = digits.bins;
  int* const counts = scratch + kOrderWarps;
  const auto of_warp = [&](int w) { return counts + w * bins; };
  for (int i = int(threadIdx.x); i < kSortWarps * bins; i += kOrderThreads) counts[i] = 0;
  __syncthreads();

  // Each sorting warp takes a part of the positions.
  const int part = (size + kSortWarps * 32 - 1) / (kSortWarps * 32) * 32;
  const int begin = warp < kSortWarps ? min(size, warp * part) : size;
  const int end = warp < kSortWarps ? min(size, begin + part) : size;
#pragma unroll 4
  for (int i = begin + lane; i < end; i += 32) atomicAdd(of_warp(warp) + digits.of(digits.keys(from[i])), 1);
  __syncthreads();

  // The next output index of each warp, by bin.
  int carry = 0;
  for (int first = 0; first < bins; first += kOrderThreads) {
    const int bin = first + int(threadIdx.x);
    int count = 0, total;
    for (int w = 0; bin < bins && w < kSortWarps; ++w) count += of_warp(w)[bin];
    int at = carry + block_exclusive_sum(count, scratch, &total);
    for (int w = 0; bin < bins && w < kSortWarps; ++w) {
      const int next = at + of_warp(w)[bin];
      of_warp(w)[bin] = at;
      at = next;
    }
    carry += total;
  }
  __syncthreads();

  for (int first = begin; first < end; first += 32 * kSortAhead) {
    int position[kSortAhead], key[kSortAhead];
#pragma unroll
    for (int j = 0; j < kSortAhead; ++j) {
      const int i = first + j * 32 + lane;
      position[j] = i < end ? from[i] : -1;
    }
#pragma unroll
    for (int j = 0; j < kSortAhead; ++j) key[j] = position[j] >= 0 ? digits.keys(position[j]) : 0;
#pragma unroll
    for (int j = 0; j < kSortAhead; ++j) {
      const bool in = position[j] >= 0;
      const int digit = digits.of(key[j]);
      const unsigned same = lanes_with(digit, in, bins);
      const int before = __popc(same & lanes_before());
      int* const next = of_warp(warp) + digit;
      if (in) {
        const int at = *next + before;
        to[at] = position[j];
        if (sorted) sorted[at] = key[j];
      }
      __syncwarp();
      if (in && before == 0) *next += __popc(same);
      __syncwarp();
    }
  }
  __syncthreads();
}

// One block per bucket. order[size]: the positions; sorted[size]: their tokens; other[size]: workspace.
__global__ void __launch_bounds__(kOrderThreads)
    patch_embedding_order_kernel(int* order, int* sorted, int* other, TokenKeys keys, int size, OrderPlan plan,
                                 BadId* bad) {
  int* const scratch = shared_memory<int>();
  // The passes alternate so that the last one writes `order`.
  int* from = plan.passes % 2 == 1 ? other : order;
  int* to = plan.passes % 2 == 1 ? order : other;
  const Bucket bucket = collect(from, keys, size, scratch, bad);
  if (bucket.size == 0) return;
  for (int pass = 0; pass < plan.passes; ++pass) {
    const Digits digits{keys, plan.bucket_bits + pass * plan.digit_bits, plan.bins()};
    sort_pass(to + bucket.start, pass + 1 == plan.passes ? sorted + bucket.start : nullptr, from + bucket.start,
              bucket.size, digits, scratch);
    int* const turned = from;
    from = to;
    to = turned;
  }
}

inline void order_by_token(const char* operation, const TokenKeys& keys, int size, int* order, int* sorted, int* other,
                           BadId* bad, cudaStream_t stream) {
  const OrderPlan plan(size, keys.vocabulary);
  const size_t shared_bytes = (kOrderWarps + plan.bins() * kSortWarps) * sizeof(int);
  launch<patch_embedding_order_kernel>(operation, {1u << plan.bucket_bits, kOrderThreads, shared_bytes, stream}, order,
                                       sorted, other, keys, size, plan, bad);
}

}  // namespace
}  // namespace nextpatch::cuda
