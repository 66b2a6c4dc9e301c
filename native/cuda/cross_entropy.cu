// Next-patch cross-entropy: one distribution against K labels; the gradient overwrites the logits.
//
// One block per row. Its threads take the row's 16-byte packs in turn, in two sweeps: the log-sum-exp, then the
// gradient. In between they keep the packs, the first few in registers, the others in shared memory, so that the logits
// are read and written once, for rows up to 288 KB on an H100 (V = 128256 in bf16 is 251 KB) and 224 KB on an A100;
// the part of a longer row beyond that is read twice.
#include <algorithm>
#include <cfloat>

#include "bad_id.cuh"
#include "block_reduce.cuh"
#include "cuda_kernels.h"
#include "dispatch.h"
#include "launch.cuh"
#include "ptx.cuh"
#include "shared.cuh"
#include "vector.cuh"

namespace nextpatch::cuda {
namespace {

constexpr int kMaxThreads = 1024;
constexpr int kAhead = 8;  // packs per thread in flight to shared memory

// A block's settings by its number of threads: the packs that a thread keeps in registers, and the blocks that should
// fit a multiprocessor, so that the loads of one hide the waits of another. Neither changes any bit. Three blocks of
// 512 leave 40 registers per thread, so loops are not unrolled.
template <int Threads>
struct Plan;
template <>
struct Plan<128> {
  static constexpr int kHeld = 4, kBlocks = 8;
};
template <>
struct Plan<512> {
  static constexpr int kHeld = 2, kBlocks = 3;
};
template <>
struct Plan<1024> {
  static constexpr int kHeld = 4, kBlocks = 1;
};
constexpr float kLog2E = 1.44269504f;

// The block's shared memory after the row's packs.
struct Scratch {
  float largest[kMaxThreads / 32], sum[kMaxThreads / 32];  // per warp
  float weight;                                            // the sum of the coefficients of the row's labels
  int counts;                                              // whether any label has a nonzero coefficient
  // then float logit[K]: the logits at the labels, which the gradient overwrites
};

// A row as `head` elements, then 16-byte packs, then fewer elements than a pack.
template <typename T>
struct Row {
  static constexpr int kElements = kWidth<T>;
  using RowPack = Pack<T, kElements>;

  T* data;
  int size, head, packs;

  __device__ Row(T* data, int size) : data(data), size(size) {
    const int misaligned = int(reinterpret_cast<uintptr_t>(data) % 16 / sizeof(T));
    head = min(size, (kElements - misaligned) % kElements);
    packs = (size - head) / kElements;
  }
  __device__ T* pack(int p) const { return data + head + p * kElements; }
  // The elements outside the packs, numbered from 0.
  __device__ int edges() const { return size - packs * kElements; }
  __device__ T* edge(int i) const { return data + (i < head ? i : i + packs * kElements); }
};

// f(p, pack) for every step-th pack from `first` on, two loads at a time.
template <typename T, typename F>
__device__ __forceinline__ void for_packs(const Row<T>& row, int first, int step, const F& f) {
#pragma unroll 1
  for (int p = first; p < row.packs; p += 2 * step) {
    const int q = p + step;
    const auto one = load<T, kWidth<T>>(row.pack(p));
    const auto other = load<T, kWidth<T>>(row.pack(q < row.packs ? q : p));
    f(p, one);
    if (q < row.packs) f(q, other);
  }
}

// e^(x - largest). Subtracts first: multiplying a large logit by log2(e) would lose bits.
__device__ __forceinline__ float exp_below(float x, float largest) { return exp2_approx((x - largest) * kLog2E); }

// Sum of e^(x - largest) over the x so far. `largest` stays finite, so that a logit of -inf adds 0, not NaN.
struct Softmax {
  float largest = -FLT_MAX;
  float sum = 0;

  template <typename T, int Width>
  __device__ __forceinline__ void add(const Pack<T, Width>& pack) {
    float pack_largest = to_float(pack.at[0]);
#pragma unroll
    for (int i = 1; i < Width; ++i) pack_largest = fmaxf(pack_largest, to_float(pack.at[i]));
    if (pack_largest > largest) {
      sum *= exp_below(largest, pack_largest);
      largest = pack_largest;
    }
#pragma unroll
    for (int i = 0; i < Width; ++i) sum += exp_below(to_float(pack.at[i]), largest);
  }

  // Every lane receives the warp's result.
  __device__ __forceinline__ Softmax over_warp() const {
    Softmax all;
    all.largest = warp_max(largest);
    all.sum = warp_sum(sum * exp_below(largest, all.largest));
    return all;
  }
};

// The labels of one row.
struct Labels {
  const int* ids;
  const float* coefficients;
  int count, vocabulary;

  __device__ bool in_vocabulary(int j) const { return unsigned(ids[j]) < unsigned(vocabulary); }

  // The coefficients of all labels equal to the j-th; 0 unless it is the first of them.
  __device__ float weight_once(int j) const {
    const int id = ids[j];
    float weight = 0;
#pragma unroll 1
    for (int i = 0; i < count; ++i) {
      if (ids[i] != id) continue;
      if (i < j) return 0;
      weight += coefficients[i];
    }
    return weight;
  }
};

// One warp: saves the logits at the labels and sums the coefficients.
template <typename T>
__device__ void read_labels(const Labels& labels, const T* logits, Scratch* scratch, int64_t first_index, BadId* bad) {
  const int lane = int(threadIdx.x) % 32;
  float* const kept = reinterpret_cast<float*>(scratch + 1);
  float weight = 0;
  int counts = 0;
#pragma unroll 1
  for (int j = lane; j < labels.count; j += 32) {
    const int id = labels.ids[j];
    if (labels.in_vocabulary(j)) {
      kept[j] = to_float(logits[id]);
      weight += labels.coefficients[j];
      counts |= labels.coefficients[j] != 0;
    } else if (id != kIgnoredLabel) {
      report_bad_id(bad, BadId::label, first_index + j, id, labels.vocabulary);
    }
  }
  weight = warp_sum(weight);
  counts = __any_sync(kAllLanes, counts);
  if (lane == 0) {
    scratch->weight = weight;
    scratch->counts = counts;
  }
}

// shared_packs: a thread's packs in shared memory.
template <typename T, int Threads>
__global__ void __launch_bounds__(Threads, Plan<Threads>::kBlocks)
    cross_entropy_kernel(float* losses, T* logits, const int* ids, const float* coefficients, int vocabulary, int patch,
                         int shared_packs, bool gradient, BadId* bad) {
  using RowPack = typename Row<T>::RowPack;
  constexpr int kHeld = Plan<Threads>::kHeld;
  const int thread = int(threadIdx.x), warp = thread / 32, lane = thread % 32;
  const Row<T> row(logits + int64_t(blockIdx.x) * vocabulary, vocabulary);
  const Labels labels{ids + int64_t(blockIdx.x) * patch, coefficients, patch, vocabulary};
  // A thread reads from shared memory only what it copied there: no barrier is needed.
  T* const shared = shared_memory<T>() + thread * kWidth<T>;
  Scratch* const scratch = shared_memory<Scratch>(size_t(shared_packs) * Threads * sizeof(RowPack));
  const int first_shared = thread + kHeld * Threads, first_beyond = first_shared + shared_packs * Threads;

  Word<T, kWidth<T>> held[kHeld];
#pragma unroll
  for (int i = 0; i < kHeld; ++i)
    if (thread + i * Threads < row.packs) held[i] = load_word<T, kWidth<T>>(row.pack(thread + i * Threads));
  const auto copied = [&](int i) { return load<T, kWidth<T>>(shared + i * Threads * kWidth<T>); };
  const auto copy = [&](int i) {
    const int p = first_shared + i * Threads;
    if (i < shared_packs && p < row.packs) cp_async_16(shared + i * Threads * kWidth<T>, row.pack(p));
    cp_async_commit();
  };
#pragma unroll 1  // else its addresses take too many registers
  for (int i = 0; i < kAhead; ++i) copy(i);
  if (warp == 0) read_labels(labels, row.data, scratch, int64_t(blockIdx.x) * patch, bad);

  // Always in the order of the packs, wherever they are kept, so the bits do not depend on the device.
  Softmax softmax;
  Pack<T, 1> edge;
  if (thread < row.edges()) {
    edge = load<T, 1>(row.edge(thread));
    softmax.add(edge);
  }
#pragma unroll
  for (int i = 0; i < kHeld; ++i)
    if (thread + i * Threads < row.packs) softmax.add(unpacked<T, kWidth<T>>(held[i]));
#pragma unroll 1
  for (int i = 0; i < shared_packs; ++i) {
    cp_async_wait<kAhead - 1>();
    if (first_shared + i * Threads < row.packs) softmax.add(copied(i));
    copy(i + kAhead);
  }
  for_packs(row, first_beyond, Threads, [&](int, const RowPack& pack) { softmax.add(pack); });

  softmax = softmax.over_warp();
  if (lane == 0) {
    scratch->largest[warp] = softmax.largest;
    scratch->sum[warp] = softmax.sum;
  }
  __syncthreads();
  softmax = Softmax{};
  if (lane < Threads / 32) {
    softmax.largest = scratch->largest[lane];
    softmax.sum = scratch->sum[lane];
  }
  softmax = softmax.over_warp();
  const bool counts = scratch->counts;
  const float largest = softmax.largest, scale = scratch->weight / softmax.sum;
  const float* const kept = reinterpret_cast<float*>(scratch + 1);

  if (warp == 0) {
    const float log_sum = logf(softmax.sum);
    float loss = 0;
#pragma unroll 1
    for (int j = lane; counts && j < patch; j += 32)
      if (labels.in_vocabulary(j)) loss += coefficients[j] * (largest - kept[j] + log_sum);
    loss = warp_sum(loss);
    if (lane == 0) losses[blockIdx.x] = loss;
  }
  if (!gradient) return;

  const auto gradient_in = [&](auto pack) {
#pragma unroll
    for (int i = 0; i < int(sizeof pack / sizeof(T)); ++i)
      pack.at[i] = from_float<T>(counts ? exp_below(to_float(pack.at[i]), largest) * scale : 0.0f);
    return pack;
  };
  if (thread < row.edges()) store(row.edge(thread), gradient_in(edge));
#pragma unroll
  for (int i = 0; i < kHeld; ++i)
    if (thread + i * Threads < row.packs)
      store(row.pack(thread + i * Threads), gradient_in(unpacked<T, kWidth<T>>(held[i])));
#pragma unroll 1
  for (int i = 0; i < shared_packs && first_shared + i * Threads < row.packs; ++i)
    store(row.pack(first_shared + i * Threads), gradient_in(copied(i)));
  for_packs(row, first_beyond, Threads, [&](int p, const RowPack& pack) { store(row.pack(p), gradient_in(pack)); });

  // The labels' elements again, from the logit instead of the rounded softmax, so that a difference of two close values
  // is rounded once. The lines are still in the cache.
  __syncthreads();
  if (warp != 0 || !counts) return;
#pragma unroll 1
  for (int j = lane; j < patch; j += 32) {
    if (!labels.in_vocabulary(j)) continue;
    const float weight = labels.weight_once(j);
    if (weight != 0) row.data[labels.ids[j]] = from_float<T>(exp_below(kept[j], largest) * scale - weight);
  }
}

template <typename T, int Threads>
void cross_entropy(const Device& device, const View& losses, const View& logits, const View& labels,
                   const View& coefficients, bool gradient) {
  const int64_t packs = logits.cols() / kWidth<T>;
  const int64_t scratch_bytes = int64_t(sizeof(Scratch)) + labels.cols() * int64_t(sizeof(float));
  const int64_t room = (int64_t(device.shared_bytes) - scratch_bytes) / (Threads * 16);
  const int64_t wanted = (packs + Threads - 1) / Threads - Plan<Threads>::kHeld;
  const int64_t shared_packs = std::max<int64_t>(0, std::min(wanted, room));
  const Launch at{blocks_for(losses.size(), 1), Threads, size_t(shared_packs * Threads * 16 + scratch_bytes),
                  device.stream};
  launch<cross_entropy_kernel<T, Threads>>("cross_entropy", at, losses.as<float>(), logits.as<T>(), labels.as<int>(),
                                           coefficients.as<float>(), logits.cols(), labels.cols(), shared_packs,
                                           gradient, device.bad_id);
}

}  // namespace

void CudaKernels::cross_entropy(const View& losses, const View& logits, const View& labels, const View& coefficients,
                                bool gradient) {
  with_type(logits.dtype, [&](auto type) {
    using T = decltype(type);
    // A function of the shape only, because it determines the order of the additions.
    const int64_t packs = logits.cols() / kWidth<T>;
    if (packs <= 128 * Plan<128>::kHeld) {  // all in registers
      cuda::cross_entropy<T, 128>(device_, losses, logits, labels, coefficients, gradient);
    } else if (packs <= 7168) {  // 112 KB: two rows fit one multiprocessor
      cuda::cross_entropy<T, 512>(device_, losses, logits, labels, coefficients, gradient);
    } else {
      cuda::cross_entropy<T, 1024>(device_, losses, logits, labels, coefficients, gradient);
    }
  });
}

}  // namespace nextpatch::cuda
