// Gated linear units: silu(gate) * up (SwiGLU) and gelu(gate) * up (GeGLU), and their gradients.
#include "cuda_kernels.h"
#include "dispatch.h"
#include "launch.cuh"
#include "vector.cuh"

namespace nextpatch::cuda {
namespace {

constexpr int kThreads = 256;

__device__ __forceinline__ float sigmoid(float x) { return 1.0f / (1.0f + __expf(-x)); }

// An activation is x * sigmoid(bend(x)); slope: its derivative, from s = sigmoid(bend(x)).
struct Silu {
  __device__ static float bend(float x) { return x; }
  __device__ static float slope(float x, float s) { return s * (1.0f + x * (1.0f - s)); }
};
// In its tanh form: (1 + tanh(y)) / 2 is sigmoid(2y).
struct Gelu {
  static constexpr float kTwice = 1.5957691216057308f;  // 2 sqrt(2 / pi)
  static constexpr float kCube = 0.044715f;
  static constexpr float kFlat = 16.0f;  // from here on, the sigmoid is 0 or 1 in f32
  __device__ static float bend(float x) { return kTwice * (x + kCube * x * x * x); }
  __device__ static float slope(float x, float s) {
    x = fminf(fmaxf(x, -kFlat), kFlat);  // so that x * x is finite
    return s * (1.0f + x * (1.0f - s) * kTwice * (1.0f + 3.0f * kCube * x * x));
  }
};

// One thread: Width elements of one row of out[N,I].
template <typename Activation, typename T, int Width>
__global__ void __launch_bounds__(kThreads) glu_forward_kernel(T* out, const T* gate_up, int64_t size, int64_t cols) {
  const int64_t i = (int64_t(blockIdx.x) * kThreads + threadIdx.x) * Width;
  if (i >= size) return;
  const int64_t row = i / cols;
  const T* const from = gate_up + i + row * cols;  // row * 2I + col
  const auto gate = load<T, Width>(from), up = load<T, Width>(from + cols);
  Pack<T, Width> result;
#pragma unroll
  for (int lane = 0; lane < Width; ++lane) {
    const float g = to_float(gate.at[lane]);
    result.at[lane] = from_float<T>(g * sigmoid(Activation::bend(g)) * to_float(up.at[lane]));
  }
  store(out + i, result);
}

// dgate_up may be gate_up: each thread reads what it overwrites first.
template <typename Activation, typename T, int Width>
__global__ void __launch_bounds__(kThreads)
    glu_backward_kernel(T* dgate_up, const T* dout, const T* gate_up, int64_t size, int64_t cols) {
  const int64_t i = (int64_t(blockIdx.x) * kThreads + threadIdx.x) * Width;
  if (i >= size) return;
  const int64_t at = i + i / cols * cols;
  const auto gate = load<T, Width>(gate_up + at), up = load<T, Width>(gate_up + at + cols);
  const auto gradient = load<T, Width>(dout + i);
  Pack<T, Width> dgate, dup;
#pragma unroll
  for (int lane = 0; lane < Width; ++lane) {
    const float g = to_float(gate.at[lane]), d = to_float(gradient.at[lane]), s = sigmoid(Activation::bend(g));
    dgate.at[lane] = from_float<T>(d * to_float(up.at[lane]) * Activation::slope(g, s));
    dup.at[lane] = from_float<T>(d * g * s);
  }
  store(dgate_up + at, dgate);
  store(dgate_up + at + cols, dup);
}

template <typename Activation>
void forward(const char* operation, const Device& device, const View& out, const View& gate_up) {
  with_type(out.dtype, [&](auto type) {
    using T = decltype(type);
    const int64_t size = out.size(), cols = out.cols();
    if (aligned_16(out.as<T>(), gate_up.as<T>()) && cols % kWidth<T> == 0) {
      const Launch at{blocks_for(size, kThreads * kWidth<T>), kThreads, 0, device.stream};
      launch<glu_forward_kernel<Activation, T, kWidth<T>>>(operation, at, out.as<T>(), gate_up.as<T>(), size, cols);
    } else {
      const Launch at{blocks_for(size, kThreads), kThreads, 0, device.stream};
      launch<glu_forward_kernel<Activation, T, 1>>(operation, at, out.as<T>(), gate_up.as<T>(), size, cols);
    }
  });
}

template <typename Activation>
void backward(const char* operation, const Device& device, const View& dgate_up, const View& dout,
              const View& gate_up) {
  with_type(dout.dtype, [&](auto type) {
    using T = decltype(type);
    const int64_t size = dout.size(), cols = dout.cols();
    if (aligned_16(dgate_up.as<T>(), dout.as<T>(), gate_up.as<T>()) && cols % kWidth<T> == 0) {
      const Launch at{blocks_for(size, kThreads * kWidth<T>), kThreads, 0, device.stream};
      launch<glu_backward_kernel<Activation, T, kWidth<T>>>(operation, at, dgate_up.as<T>(), dout.as<T>(),
                                                            gate_up.as<T>(), size, cols);
    } else {
      const Launch at{blocks_for(size, kThreads), kThreads, 0, device.stream};
      launch<glu_backward_kernel<Activation, T, 1>>(operation, at, dgate_up.as<T>(), dout.as<T>(), gate_up.as<T>(),
                                                    size, cols);
    }
  });
}

}  // namespace

void CudaKernels::swiglu_forward(const View& out, const View& gate_up) {
  forward<Silu>("swiglu_forward", device_, out, gate_up);
}
void CudaKernels::swiglu_backward(const View& dgate_up, const View& dout, const View& gate_up) {
  backward<Silu>("swiglu_backward", device_, dgate_up, dout, gate_up);
}
void CudaKernels::geglu_forward(const View& out, const View& gate_up) {
  forward<Gelu>("geglu_forward", device_, out, gate_up);
}
void CudaKernels::geglu_backward(const View& dgate_up, const View& dout, const View& gate_up) {
  backward<Gelu>("geglu_backward", device_, dgate_up, dout, gate_up);
}

}  // namespace nextpatch::cuda
