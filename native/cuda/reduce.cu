// Sums over whole tensors. Each is cut into a fixed number of slices, so that neither the device nor the
// schedule can change the order of the additions. A thread loads kAhead packs at a time and adds them in order.
#include <algorithm>

#include "block_reduce.cuh"
#include "cuda_kernels.h"
#include "launch.cuh"
#include "shared.cuh"
#include "vector.cuh"

namespace nextpatch::cuda {
namespace {

constexpr int kThreads = 512;
constexpr int kSlices = 1024;
constexpr int kAhead = 4;  // packs in flight per thread
constexpr size_t kScratchBytes = kThreads / 32 * sizeof(double);

// One block. out = (accumulate ? out : 0) + the sum.
__global__ void __launch_bounds__(kThreads) sum_kernel(float* out, const float* in, int64_t size, bool accumulate) {
  double sum = 0;
  int64_t i = threadIdx.x;
  for (; i + (kAhead - 1) * kThreads < size; i += kAhead * kThreads) {
    float values[kAhead];
#pragma unroll
    for (int j = 0; j < kAhead; ++j) values[j] = in[i + j * kThreads];
#pragma unroll
    for (int j = 0; j < kAhead; ++j) sum += values[j];
  }
  for (; i < size; i += kThreads) sum += in[i];
  sum = block_sum(sum, shared_memory<double>());
  if (threadIdx.x == 0) out[0] = float(accumulate ? out[0] + sum : sum);
}

template <int Width>
__device__ __forceinline__ void add_squares(float& sum, const Pack<float, Width>& pack) {
#pragma unroll
  for (int lane = 0; lane < Width; ++lane) sum += pack.at[lane] * pack.at[lane];
}

// slices[b] = the sum of squares of the packs whose index modulo the number of blocks is b.
template <int Width>
__global__ void __launch_bounds__(kThreads) square_sums_kernel(float* slices, const float* in, int64_t size) {
  const int64_t stride = int64_t(gridDim.x) * kThreads, packs = size / Width;
  float sum = 0;
  int64_t p = int64_t(blockIdx.x) * kThreads + threadIdx.x;
  for (; p + (kAhead - 1) * stride < packs; p += kAhead * stride) {
    Pack<float, Width> ahead[kAhead];
#pragma unroll
    for (int j = 0; j < kAhead; ++j) ahead[j] = load<float, Width>(in + (p + j * stride) * Width);
#pragma unroll
    for (int j = 0; j < kAhead; ++j) add_squares(sum, ahead[j]);
  }
  for (; p < packs; p += stride) add_squares(sum, load<float, Width>(in + p * Width));
  if (p == packs)  // the thread next in turn takes the rest, less than a pack
    for (int64_t i = packs * Width; i < size; ++i) sum += in[i] * in[i];
  sum = block_sum(sum, shared_memory<float>());
  if (threadIdx.x == 0) slices[blockIdx.x] = sum;
}

// One block: norm = sqrt(sum of slices).
__global__ void __launch_bounds__(kThreads) norm_kernel(float* norm, const float* slices, int count) {
  double sum = 0;
  for (int i = int(threadIdx.x); i < count; i += kThreads) sum += slices[i];
  sum = block_sum(sum, shared_memory<double>());
  if (threadIdx.x == 0) norm[0] = float(sqrt(sum));
}

unsigned slices_of(int64_t size) {
  return unsigned(std::min<int64_t>(kSlices, std::max<int64_t>(1, (size + kThreads * 4 - 1) / (kThreads * 4))));
}

}  // namespace

void CudaKernels::sum(const View& out, const View& in, bool accumulate) {
  launch<sum_kernel>("sum", {1, kThreads, kScratchBytes, device_.stream}, out.as<float>(), in.as<float>(), in.size(),
                     accumulate);
}

void CudaKernels::grad_norm(const View& norm, const View& grad, const View& workspace) {
  const unsigned slices = slices_of(grad.size());
  const Launch at{slices, kThreads, kScratchBytes, device_.stream};
  float* const sums = workspace.as<float>();
  if (aligned_16(grad.as<float>())) {
    launch<square_sums_kernel<4>>("grad_norm", at, sums, grad.as<float>(), grad.size());
  } else {
    launch<square_sums_kernel<1>>("grad_norm", at, sums, grad.as<float>(), grad.size());
  }
  launch<norm_kernel>("grad_norm", {1, kThreads, kScratchBytes, device_.stream}, norm.as<float>(), sums, int(slices));
}

int64_t CudaKernels::grad_norm_workspace(int64_t size) const { return slices_of(size); }

}  // namespace nextpatch::cuda
