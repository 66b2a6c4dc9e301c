// Looks for a value that is not finite, and keeps an optimizer from a step whose loss or norm is too large.
#include <algorithm>

#include "cuda_kernels.h"
#include "dispatch.h"
#include "launch.cuh"
#include "vector.cuh"

namespace nextpatch::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int64_t kMostBlocks = 1024;

__global__ void __launch_bounds__(1) begin_kernel(int* out, int size) { out[0] = size; }

// A thread looks at every so many-th pack. The least index of all is the same in any order.
template <typename T, int Width>
__global__ void __launch_bounds__(kThreads) first_non_finite_kernel(int* out, const T* in, int64_t size) {
  const int64_t stride = int64_t(gridDim.x) * kThreads * Width;
  for (int64_t i = (int64_t(blockIdx.x) * kThreads + threadIdx.x) * Width; i < size; i += stride) {
    Pack<T, Width> pack;
    if (i + Width <= size) {
      pack = load<T, Width>(in + i);
    } else {
#pragma unroll
      for (int lane = 0; lane < Width; ++lane) pack.at[lane] = i + lane < size ? in[i + lane] : from_float<T>(0.0f);
    }
#pragma unroll
    for (int lane = 0; lane < Width; ++lane) {
      if (isfinite(to_float(pack.at[lane]))) continue;
      atomicMin(out, int(i) + lane);
      return;
    }
  }
}

__global__ void __launch_bounds__(1)
    guard_norm_kernel(float* measured, float* norm, const float* loss, const float* limits) {
  measured[0] = norm[0];
  if (loss[0] > limits[0] || norm[0] > limits[1]) norm[0] = nanf("");
}

template <typename T, int Width>
void launch_search(const Device& device, int* out, const T* in, int64_t size) {
  const int64_t blocks = std::min<int64_t>(kMostBlocks, blocks_for(size, kThreads * Width));
  launch<first_non_finite_kernel<T, Width>>("first_non_finite", {unsigned(blocks), kThreads, 0, device.stream}, out, in,
                                            size);
}

}  // namespace

void CudaKernels::first_non_finite(const View& out, const View& in) {
  int* const first = out.as<int>();
  launch<begin_kernel>("first_non_finite", {1, 1, 0, device_.stream}, first, int(in.size()));
  with_type(in.dtype, [&](auto type) {
    using T = decltype(type);
    if (aligned_16(in.as<T>())) return launch_search<T, kWidth<T>>(device_, first, in.as<T>(), in.size());
    launch_search<T, 1>(device_, first, in.as<T>(), in.size());
  });
}

void CudaKernels::guard_norm(const View& measured, const View& norm, const View& loss, const View& limits) {
  launch<guard_norm_kernel>("guard_norm", {1, 1, 0, device_.stream}, measured.as<float>(), norm.as<float>(),
                            loss.as<float>(), limits.as<float>());
}

}  // namespace nextpatch::cuda
