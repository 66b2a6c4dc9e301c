// Normally distributed values from Philox by the Box-Muller transform.
#include "cuda_kernels.h"
#include "launch.cuh"
#include "random.cuh"

namespace nextpatch::cuda {
namespace {

constexpr int kThreads = 256;

// One thread per Philox counter: the up to four elements of `out` that it covers.
__global__ void __launch_bounds__(kThreads)
    normal_kernel(float* out, int64_t size, float std, uint64_t seed, uint64_t offset) {
  const uint64_t counter = offset / 4 + uint64_t(blockIdx.x) * kThreads + threadIdx.x;
  const PhiloxWords words = philox(seed, counter);
#pragma unroll
  for (int pair = 0; pair < 4; pair += 2) {
    const float radius = sqrtf(-2 * logf(philox_uniform_positive(words.word[pair])));
    const float angle = 6.283185307179586f * philox_uniform_positive(words.word[pair + 1]);
    const float values[2] = {radius * cosf(angle), radius * sinf(angle)};
#pragma unroll
    for (int i = 0; i < 2; ++i) {
      // Before the first element it wraps to a large number and is left out.
      const uint64_t at = counter * 4 + uint64_t(pair + i) - offset;
      if (at < uint64_t(size)) out[at] = std * values[i];
    }
  }
}

}  // namespace

void CudaKernels::normal(const View& out, float std, uint64_t seed, uint64_t offset) {
  const int64_t size = out.size();
  if (size == 0) return;
  const int64_t counters = int64_t((offset + uint64_t(size) + 3) / 4 - offset / 4);
  const Launch at{blocks_for(counters, kThreads), kThreads, 0, device_.stream};
  launch<normal_kernel>("normal", at, out.as<float>(), size, std, seed, offset);
}

}  // namespace nextpatch::cuda
