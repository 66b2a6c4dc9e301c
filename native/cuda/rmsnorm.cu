// RMSNorm with the residual add before it, and its gradient.
#include <algorithm>

#include "block_reduce.cuh"
#include "cuda_kernels.h"
#include "dispatch.h"
#include "launch.cuh"
#include "shared.cuh"
#include "vector.cuh"

namespace nextpatch::cuda {
namespace {

constexpr int kWarps = 4;  // rows a block of the forward works on
constexpr int kForwardThreads = kWarps * 32;
constexpr int kBackwardThreads = 256;
constexpr size_t kScratchBytes = kBackwardThreads / 32 * sizeof(float);
constexpr int64_t kSlices = 512;  // of the rows, each with a sum of its own for the weight's gradient

// One warp a row. The second read of the row comes from the cache.
template <typename T, int Width>
__global__ void __launch_bounds__(kForwardThreads)
rmsnorm_forward_kernel(T* out, T* sum, float* rstd, const T* x, const T* add, const T* weight, int64_t rows,
                       int64_t cols, float epsilon) {
  const int64_t row = int64_t(blockIdx.x) * kWarps + threadIdx.x / 32;
  if (row >= rows) return;
  const int lane = int(threadIdx.x) % 32;
  x += row * cols;
  if (add) {
    add += row * cols;
    sum += row * cols;
  }
  float squares = 0;
  for (int64_t i = lane * Width; i < cols; i += 32 * Width) {
    auto value = load<T, Width>(x + i);
    if (add) {
      const auto other = load<T, Width>(add + i);
#pragma unroll
      for (int j = 0; j < Width; ++j) value.at[j] = from_float<T>(to_float(value.at[j]) + to_float(other.at[j]));
      store(sum + i, value);
    }
#pragma unroll
    for (int j = 0; j < Width; ++j) squares += to_float(value.at[j]) * to_float(value.at[j]);
  }
  const float scale = rsqrtf(warp_sum(squares) / float(cols) + epsilon);
  if (lane == 0) rstd[row] = scale;
  const T* const normed = add ? sum : x;
  for (int64_t i = lane * Width; i < cols; i += 32 * Width) {
    auto value = load<T, Width>(normed + i);
    const auto factor = load<T, Width>(weight + i);
#pragma unroll
    for (int j = 0; j < Width; ++j)
      value.at[j] = from_float<T>(to_float(value.at[j]) * scale * to_float(factor.at[j]));
    store(out + row * cols + i, value);
  }
}

// One block a slice of rows, one row after another; slices[slice, cols] = the slice's gradient in the
// weight. A column belongs to one thread throughout, which sums it in shared memory, or where that is too
// small in the slice itself.
template <typename T, int Width>
__global__ void __launch_bounds__(kBackwardThreads)
rmsnorm_backward_kernel(T* dx, float* slices, const T* dout, const T* sum, const float* rstd, const T* weight,
                        int64_t rows, int64_t cols, bool accumulate, bool in_shared) {
  float* const scratch = shared_memory<float>();
  float* const slice = slices + int64_t(blockIdx.x) * cols;
  float* const dweight = in_shared ? shared_memory<float>(kScratchBytes) : slice;
  for (int64_t row = blockIdx.x; row < rows; row += gridDim.x) {
    const T* const dout_row = dout + row * cols;
    const T* const sum_row = sum + row * cols;
    const float scale = rstd[row];
    float dot = 0;
    for (int64_t i = int64_t(threadIdx.x) * Width; i < cols; i += kBackwardThreads * Width) {
      const auto d = load<T, Width>(dout_row + i), s = load<T, Width>(sum_row + i), w = load<T, Width>(weight + i);
#pragma unroll
      for (int j = 0; j < Width; ++j) dot += to_float(d.at[j]) * to_float(w.at[j]) * to_float(s.at[j]);
    }
    dot = block_sum(dot, scratch) * scale * scale / float(cols);
    for (int64_t i = int64_t(threadIdx.x) * Width; i < cols; i += kBackwardThreads * Width) {
      const auto d = load<T, Width>(dout_row + i), s = load<T, Width>(sum_row + i), w = load<T, Width>(weight + i);
      Pack<T, Width> gradient{};
      if (accumulate) gradient = load<T, Width>(dx + row * cols + i);
#pragma unroll
      for (int j = 0; j < Width; ++j) {
        const float from_here = scale * (to_float(d.at[j]) * to_float(w.at[j]) - to_float(s.at[j]) * dot);
        gradient.at[j] = from_float<T>(accumulate ? to_float(gradient.at[j]) + from_here : from_here);
        const float in_weight = to_float(d.at[j]) * to_float(s.at[j]) * scale;
        dweight[i + j] = row == blockIdx.x ? in_weight : dweight[i + j] + in_weight;
      }
      store(dx + row * cols + i, gradient);
    }
  }
  if (!in_shared) return;
  __syncthreads();
  for (int64_t i = threadIdx.x; i < cols; i += kBackwardThreads) slice[i] = dweight[i];
}

// dweight[cols] += the sum of slices[count, cols], in order.
__global__ void __launch_bounds__(kBackwardThreads)
rmsnorm_dweight_kernel(float* dweight, const float* slices, int64_t cols, int64_t count) {
  const int64_t col = int64_t(blockIdx.x) * kBackwardThreads + threadIdx.x;
  if (col >= cols) return;
  float sum = 0;
  for (int64_t slice = 0; slice < count; ++slice) sum += slices[slice * cols + col];
  dweight[col] += sum;
}

template <typename T, int Width>
void backward(const Device& device, const View& dx, const View& dout, const View& sum, const View& rstd,
              const View& weight, float* slices, int64_t count, bool accumulate) {
  const size_t sum_bytes = size_t(dout.cols()) * sizeof(float);
  const bool in_shared = kScratchBytes + sum_bytes <= kSharedBytesWithoutOptIn;
  const Launch at{unsigned(count), kBackwardThreads, kScratchBytes + (in_shared ? sum_bytes : 0), device.stream};
  launch<rmsnorm_backward_kernel<T, Width>>("rmsnorm_backward", at, dx.as<T>(), slices, dout.as<T>(), sum.as<T>(),
                                            rstd.as<float>(), weight.as<T>(), dout.rows(), dout.cols(), accumulate,
                                            in_shared);
}

template <typename T, int Width>
void forward(const Device& device, const View& out, const View& sum, const View& rstd, const View& x,
             const View& add, const View& weight, float epsilon) {
  const Launch at{blocks_for(x.rows(), kWarps), kForwardThreads, 0, device.stream};
  launch<rmsnorm_forward_kernel<T, Width>>("rmsnorm_forward", at, out.as<T>(), sum.as<T>(), rstd.as<float>(),
                                           x.as<T>(), add.as<T>(), weight.as<T>(), x.rows(), x.cols(), epsilon);
}

}  // namespace

void CudaKernels::rmsnorm_forward(const View& out, const View& sum, const View& rstd, const View& x,
                                  const View& add, const View& weight, float epsilon) {
  with_type(x.dtype, [&](auto type) {
    using T = decltype(type);
    const bool wide = x.cols() % kWidth<T> == 0 &&
                      aligned_16(out.as<T>(), sum.as<T>(), x.as<T>(), add.as<T>(), weight.as<T>());
    if (wide) {
      forward<T, kWidth<T>>(device_, out, sum, rstd, x, add, weight, epsilon);
    } else {
      forward<T, 1>(device_, out, sum, rstd, x, add, weight, epsilon);
    }
  });
}

void CudaKernels::rmsnorm_backward(const View& dx, const View& dweight, const View& dout, const View& sum,
                                   const View& rstd, const View& weight, const View& workspace, bool accumulate) {
  const int64_t cols = dout.cols(), slices = std::min(dout.rows(), kSlices);
  if (slices == 0) return;
  float* const sums = workspace.as<float>();
  with_type(dout.dtype, [&](auto type) {
    using T = decltype(type);
    const bool wide = cols % kWidth<T> == 0 && aligned_16(dx.as<T>(), dout.as<T>(), sum.as<T>(), weight.as<T>());
    if (wide) {
      backward<T, kWidth<T>>(device_, dx, dout, sum, rstd, weight, sums, slices, accumulate);
    } else {
      backward<T, 1>(device_, dx, dout, sum, rstd, weight, sums, slices, accumulate);
    }
  });
  const Launch at{blocks_for(cols, kBackwardThreads), kBackwardThreads, 0, device_.stream};
  launch<rmsnorm_dweight_kernel>("rmsnorm_backward", at, dweight.as<float>(), sums, cols, slices);
}

int64_t CudaKernels::rmsnorm_backward_workspace(int64_t rows, int64_t cols) const {
  return std::min(rows, kSlices) * cols;
}

}  // namespace nextpatch::cuda
