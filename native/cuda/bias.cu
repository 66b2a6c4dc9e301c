// The bias of a linear layer, and its gradient: the sums of columns.
#include <algorithm>

#include "../core/checked.h"
#include "cuda_kernels.h"
#include "dispatch.h"
#include "launch.cuh"
#include "shared.cuh"
#include "slices.h"
#include "vector.cuh"

namespace nextpatch::cuda {
namespace {

constexpr int kWarps = 8;
constexpr int kThreads = kWarps * 32;

// One thread: Width elements of a row.
template <typename T, int Width>
__global__ void __launch_bounds__(kThreads) bias_forward_kernel(T* x, const T* bias, int64_t size, int64_t cols) {
  const int64_t i = (int64_t(blockIdx.x) * kThreads + threadIdx.x) * Width;
  if (i >= size) return;
  auto value = load<T, Width>(x + i);
  const auto more = load<T, Width>(bias + i % cols);
#pragma unroll
  for (int lane = 0; lane < Width; ++lane)
    value.at[lane] = from_float<T>(to_float(value.at[lane]) + to_float(more.at[lane]));
  store(x + i, value);
}

// One block: 32 * Width columns, and every gridDim.y-th set of kWarps rows. A warp reads a row, so that a thread keeps
// its columns, and the block adds its warps' sums.
template <typename T, int Width>
__global__ void __launch_bounds__(kThreads)
    bias_backward_kernel(float* slices, const T* dout, int64_t rows, int64_t cols) {
  constexpr int kColumns = 32 * Width;
  const int warp = int(threadIdx.x) / 32, lane = int(threadIdx.x) % 32;
  const int64_t first = int64_t(blockIdx.x) * kColumns + lane * Width;
  float total[Width] = {};
  if (first < cols) {
#pragma unroll 4
    for (int64_t row = int64_t(blockIdx.y) * kWarps + warp; row < rows; row += int64_t(gridDim.y) * kWarps) {
      const auto value = load<T, Width>(dout + row * cols + first);
#pragma unroll
      for (int i = 0; i < Width; ++i) total[i] += to_float(value.at[i]);
    }
  }
  // A lane's columns lie 32 apart here, so that a warp's accesses do not collide.
  float* const sums = shared_memory<float>();
#pragma unroll
  for (int i = 0; i < Width; ++i) sums[warp * kColumns + i * 32 + lane] = total[i];
  __syncthreads();
  for (int at = int(threadIdx.x); at < kColumns; at += kThreads) {
    const int64_t col = int64_t(blockIdx.x) * kColumns + at % 32 * Width + at / 32;
    if (col >= cols) continue;
    float sum = 0;
#pragma unroll
    for (int i = 0; i < kWarps; ++i) sum += sums[i * kColumns + at];
    slices[int64_t(blockIdx.y) * cols + col] = sum;
  }
}

template <typename T, int Width>
void forward(const Device& device, const View& x, const View& bias) {
  const Launch at{blocks_for(x.size(), kThreads * Width), kThreads, 0, device.stream};
  launch<bias_forward_kernel<T, Width>>("bias_forward", at, x.as<T>(), bias.as<T>(), x.size(), x.cols());
}

template <typename T, int Width>
void backward(const Device& device, const View& dbias, const View& dout, float* slices) {
  const int64_t rows = dout.rows(), cols = dout.cols();
  const unsigned strips = blocks_for(cols, 32 * Width);
  // As many blocks as fill a GPU, divided over the strips of columns.
  const unsigned count = unsigned(std::clamp<int64_t>(kSlices / strips, 1, (rows + kWarps - 1) / kWarps));
  const Launch at{dim3(strips, count), kThreads, kWarps * 32 * Width * sizeof(float), device.stream};
  launch<bias_backward_kernel<T, Width>>("bias_backward", at, slices, dout.as<T>(), rows, cols);
  add_slices(device, "bias_backward", dbias.as<float>(), slices, cols, count);
}

}  // namespace

void CudaKernels::bias_forward(const View& x, const View& bias) {
  with_type(x.dtype, [&](auto type) {
    using T = decltype(type);
    if (aligned_16(x.as<T>(), bias.as<T>()) && x.cols() % kWidth<T> == 0) {
      forward<T, kWidth<T>>(device_, x, bias);
    } else {
      forward<T, 1>(device_, x, bias);
    }
  });
}

void CudaKernels::bias_backward(const View& dbias, const View& dout, const View& workspace) {
  if (dout.rows() == 0) return;
  with_type(dout.dtype, [&](auto type) {
    using T = decltype(type);
    if (aligned_16(dout.as<T>()) && dout.cols() % kWidth<T> == 0) {
      backward<T, kWidth<T>>(device_, dbias, dout, workspace.as<float>());
    } else {
      backward<T, 1>(device_, dbias, dout, workspace.as<float>());
    }
  });
}

int64_t CudaKernels::bias_backward_workspace(int64_t rows, int64_t cols) const {
  return product_of({std::min((rows + kWarps - 1) / kWarps, kSlices), cols});
}

}  // namespace nextpatch::cuda
