// Samples the next token. Candidates are found by rank, without sorting; their weights are summed in the order of their
// ids, as on the CPU.
#include "../core/checked.h"
#include "block_reduce.cuh"
#include "cuda_kernels.h"
#include "dispatch.h"
#include "launch.cuh"
#include "random.cuh"
#include "shared.cuh"
#include "vector.cuh"

namespace nextpatch::cuda {
namespace {

constexpr int kThreads = 1024;

// f32 as an integer in the same order; NaN counts as the smallest, and both zeros are one.
__device__ __forceinline__ unsigned rank_of(float x) {
  if (x != x) return 0;
  const unsigned bits = x == 0 ? 0u : __float_as_uint(x);
  return bits & 0x80000000u ? ~bits : bits | 0x80000000u;
}

// Every thread receives the largest rank and the lowest id with that rank, packed so that the larger value wins.
__device__ unsigned long long block_largest(unsigned long long value, unsigned long long* scratch) {
  const int warp = int(threadIdx.x) / 32, lane = int(threadIdx.x) % 32;
  value = warp_max(value);
  if (lane == 0) scratch[warp] = value;
  __syncthreads();
  value = warp_max(scratch[lane]);
  __syncthreads();
  return value;
}

struct Row {
  const float* scores;  // (logit - largest) / temperature
  int64_t size;
  double* scratch;

  __device__ double weight(int64_t i) const { return double(expf(scores[i])); }

  // f(i) summed over the row, by every thread in a fixed order.
  template <typename F>
  __device__ double total(const F& f) const {
    double sum = 0;
    for (int64_t i = threadIdx.x; i < size; i += kThreads) sum += f(i);
    return block_sum(sum, scratch);
  }
};

// A position in the order of descending score, equal scores by ascending id: the candidates end here.
struct Cut {
  unsigned rank;
  int64_t id;

  __device__ bool keeps(unsigned other, int64_t i) const { return other > rank || (other == rank && i <= id); }
};

// The largest accepted number of `bits` bits (even): accept(sum of f(i) over the i with in(i, number)). 0 is accepted,
// and so is every number below an accepted one. Finds two bits per pass over the row.
template <typename F, typename In, typename Accept>
__device__ unsigned find_largest(const Row& row, int bits, const F& f, const In& in, const Accept& accept) {
  unsigned found = 0;
#pragma unroll 1
  for (int shift = bits - 2; shift >= 0; shift -= 2) {
    double sums[3] = {};
#pragma unroll 1
    for (int64_t i = threadIdx.x; i < row.size; i += kThreads) {
      const double value = f(i);
#pragma unroll
      for (unsigned j = 0; j < 3; ++j)
        if (in(i, found | (j + 1) << shift)) sums[j] += value;
    }
    unsigned accepted = 0;
#pragma unroll
    for (unsigned j = 0; j < 3; ++j)
      if (accept(block_sum(sums[j], row.scratch))) accepted = j + 1;
    found |= accepted << shift;
  }
  return found;
}

// The first position in that order at which f, summed over everything kept, reaches `share`: first its rank, then
// its id among those of equal rank.
template <typename F>
__device__ Cut find_cut(const Row& row, double share, const F& f) {
  const unsigned rank = find_largest(
      row, 32, f, [&](int64_t i, unsigned least) { return rank_of(row.scores[i]) >= least; },
      [&](double reached) { return reached >= share; });
  int bits = 2;
  while (row.size > int64_t(1) << bits) bits += 2;
  // The largest number of ids that does not reach it: the next id does.
  const unsigned ids = find_largest(
      row, bits, f,
      [&](int64_t i, unsigned end) {
        const unsigned other = rank_of(row.scores[i]);
        return other > rank || (other == rank && i < end);
      },
      [&](double reached) { return reached < share; });
  return {rank, min(int64_t(ids), row.size - 1)};
}

// The ids that occurred in each row, and the rows' random streams; each may be null.
struct Rows {
  const int* history;  // [rows, length]
  int64_t length;
  const int* streams;  // [rows]
};

// One block per row of logits; scores[rows, size] is workspace.
template <typename T>
__global__ void __launch_bounds__(kThreads, 1) sample_kernel(int* out, const T* logits, float* scores, int64_t size,
                                                             Rows rows, Sampling sampling, float least_score) {
  double* const scratch = shared_memory<double>();
  logits += int64_t(blockIdx.x) * size;
  scores += int64_t(blockIdx.x) * size;
  const bool changed_logits = rows.history != nullptr;
  if (changed_logits) {
    for (int64_t i = threadIdx.x; i < size; i += kThreads) scores[i] = to_float(logits[i]);
    __syncthreads();
    const int* const history = rows.history + int64_t(blockIdx.x) * rows.length;
    for (int64_t i = threadIdx.x; i < rows.length; i += kThreads) {
      const int id = history[i];
      if (id < 0 || id >= size) continue;
      // An id that occurs twice is written twice, with the same value.
      const float logit = to_float(logits[id]), penalty = sampling.repetition_penalty;
      const float changed = logit > 0 ? logit / penalty : logit * penalty;
      atomicExch(reinterpret_cast<unsigned*>(scores + id), __float_as_uint(changed));
    }
    __syncthreads();
  }
  const auto logit = [&](int64_t i) { return changed_logits ? scores[i] : to_float(logits[i]); };
  unsigned long long best = 0;
  for (int64_t i = threadIdx.x; i < size; i += kThreads)
    best = max(best, (unsigned long long)(rank_of(logit(i))) << 32 | (0xffffffffu - unsigned(i)));
  best = block_largest(best, reinterpret_cast<unsigned long long*>(scratch));
  const int64_t largest_id = 0xffffffffu - unsigned(best);
  const float largest = logit(largest_id);
  // If all are -inf or NaN, there is nothing to choose from.
  if (sampling.temperature == 0 || !(largest > -INFINITY)) {
    if (threadIdx.x == 0) out[blockIdx.x] = int(largest_id);
    return;
  }
  __syncthreads();  // every thread has read the largest, which the next loop may overwrite
  for (int64_t i = threadIdx.x; i < size; i += kThreads) {
    const float score = (logit(i) - largest) / sampling.temperature;
    scores[i] = score == score ? score : -INFINITY;
  }
  __syncthreads();
  const Row row{scores, size, scratch};
  Cut cut{0, size - 1};
  if (sampling.top_k > 0 && sampling.top_k < size)
    cut = find_cut(row, double(sampling.top_k), [](int64_t) { return 1.0; });
  const auto weight = [&](int64_t i) { return cut.keeps(rank_of(scores[i]), i) ? row.weight(i) : 0.0; };
  double total = row.total(weight);
  if (sampling.top_p < 1) {
    cut = find_cut(row, sampling.top_p * total, weight);
    total = row.total(weight);
  }
  if (least_score > -INFINITY && rank_of(least_score) > cut.rank) {
    cut = {rank_of(least_score), size - 1};
    total = row.total(weight);
  }
  // Thread t sums the t-th run of ids; the thread whose run contains the target finds the id.
  const unsigned stream = rows.streams != nullptr ? unsigned(rows.streams[blockIdx.x]) : blockIdx.x;
  const double target = double(philox_uniform(philox(sampling.seed, sampling.counter, stream).word[0])) * total;
  const int64_t run = (size + kThreads - 1) / kThreads;
  const int64_t begin = min(size, int64_t(threadIdx.x) * run), end = min(size, begin + run);
  double* const runs = scratch + kThreads / 32;
  double sum = 0;
  for (int64_t i = begin; i < end; ++i) sum += weight(i);
  runs[threadIdx.x] = sum;
  if (threadIdx.x == 0) out[blockIdx.x] = int(largest_id);  // if rounding put the target beyond the end
  __syncthreads();
  double reached = 0;
  for (int t = 0; t < int(threadIdx.x); ++t) reached += runs[t];
  if (reached > target || reached + sum <= target) return;
  for (int64_t i = begin; i < end; ++i) {
    reached += weight(i);
    if (reached > target) {
      out[blockIdx.x] = int(i);
      return;
    }
  }
}

}  // namespace

void CudaKernels::sample(const View& out, const View& logits, const View& history, const View& streams,
                         const View& workspace, const Sampling& sampling) {
  const Rows rows{history.as<int>(), history ? history.cols() : 0, streams.as<int>()};
  with_type(logits.dtype, [&](auto type) {
    using T = decltype(type);
    const Launch at{blocks_for(logits.rows(), 1), kThreads, (kThreads / 32 + kThreads) * sizeof(double),
                    device_.stream};
    launch<sample_kernel<T>>("sample", at, out.as<int>(), logits.as<T>(), workspace.as<float>(), logits.cols(), rows,
                             sampling, sampling.least_score());
  });
}

int64_t CudaKernels::sample_workspace(int64_t rows, int64_t vocabulary) const { return product_of({rows, vocabulary}); }

}  // namespace nextpatch::cuda
