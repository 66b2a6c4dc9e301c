// SwiGLU: silu(gate) * up, and its gradient.
#include "cuda_kernels.h"
#include "dispatch.h"
#include "launch.cuh"
#include "vector.cuh"

namespace nextpatch::cuda {
namespace {

constexpr int kThreads = 256;

__device__ __forceinline__ float sigmoid(float x) { return 1.0f / (1.0f + __expf(-x)); }

// One thread: Width elements of one row of out[N,I].
template <typename T, int Width>
__global__ void __launch_bounds__(kThreads)
    swiglu_forward_kernel(T* out, const T* gate_up, int64_t size, int64_t cols) {
  const int64_t i = (int64_t(blockIdx.x) * kThreads + threadIdx.x) * Width;
  if (i >= size) return;
  const int64_t row = i / cols;
  const T* const from = gate_up + i + row * cols;  // row * 2I + col
  const auto gate = load<T, Width>(from), up = load<T, Width>(from + cols);
  Pack<T, Width> result;
#pragma unroll
  for (int lane = 0; lane < Width; ++lane) {
    const float g = to_float(gate.at[lane]);
    result.at[lane] = from_float<T>(g * sigmoid(g) * to_float(up.at[lane]));
  }
  store(out + i, result);
}

// dgate_up may be gate_up: each thread reads what it overwrites first.
template <typename T, int Width>
__global__ void __launch_bounds__(kThreads)
    swiglu_backward_kernel(T* dgate_up, const T* dout, const T* gate_up, int64_t size, int64_t cols) {
  const int64_t i = (int64_t(blockIdx.x) * kThreads + threadIdx.x) * Width;
  if (i >= size) return;
  const int64_t at = i + i / cols * cols;
  const auto gate = load<T, Width>(gate_up + at), up = load<T, Width>(gate_up + at + cols);
  const auto gradient = load<T, Width>(dout + i);
  Pack<T, Width> dgate, dup;
#pragma unroll
  for (int lane = 0; lane < Width; ++lane) {
    const float g = to_float(gate.at[lane]), d = to_float(gradient.at[lane]), s = sigmoid(g);
    dgate.at[lane] = from_float<T>(d * to_float(up.at[lane]) * s * (1.0f + g * (1.0f - s)));
    dup.at[lane] = from_float<T>(d * g * s);
  }
  store(dgate_up + at, dgate);
  store(dgate_up + at + cols, dup);
}

}  // namespace

void CudaKernels::swiglu_forward(const View& out, const View& gate_up) {
  with_type(out.dtype, [&](auto type) {
    using T = decltype(type);
    const int64_t size = out.size(), cols = out.cols();
    if (aligned_16(out.as<T>(), gate_up.as<T>()) && cols % kWidth<T> == 0) {
      const Launch at{blocks_for(size, kThreads * kWidth<T>), kThreads, 0, device_.stream};
      launch<swiglu_forward_kernel<T, kWidth<T>>>("swiglu_forward", at, out.as<T>(), gate_up.as<T>(), size, cols);
    } else {
      const Launch at{blocks_for(size, kThreads), kThreads, 0, device_.stream};
      launch<swiglu_forward_kernel<T, 1>>("swiglu_forward", at, out.as<T>(), gate_up.as<T>(), size, cols);
    }
  });
}

void CudaKernels::swiglu_backward(const View& dgate_up, const View& dout, const View& gate_up) {
  with_type(dout.dtype, [&](auto type) {
    using T = decltype(type);
    const int64_t size = dout.size(), cols = dout.cols();
    if (aligned_16(dgate_up.as<T>(), dout.as<T>(), gate_up.as<T>()) && cols % kWidth<T> == 0) {
      const Launch at{blocks_for(size, kThreads * kWidth<T>), kThreads, 0, device_.stream};
      launch<swiglu_backward_kernel<T, kWidth<T>>>("swiglu_backward", at, dgate_up.as<T>(), dout.as<T>(),
                                                   gate_up.as<T>(), size, cols);
    } else {
      const Launch at{blocks_for(size, kThreads), kThreads, 0, device_.stream};
      launch<swiglu_backward_kernel<T, 1>>("swiglu_backward", at, dgate_up.as<T>(), dout.as<T>(), gate_up.as<T>(), size,
                                           cols);
    }
  });
}

}  // namespace nextpatch::cuda
