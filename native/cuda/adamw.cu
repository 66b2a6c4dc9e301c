// AdamW over all parameters in one launch, after a one-thread launch that counts the step. The step size, the count
// and the clipping norm are on the device, so that a captured step replays with new values.
#include <cstddef>

#include "cuda_kernels.h"
#include "dispatch.h"
#include "launch.cuh"
#include "vector.cuh"

namespace nextpatch::cuda {
namespace {

constexpr int kThreads = 256;

struct AdamWState {
  float* master;
  float* m;
  float* v;
  const float* grad;
};

// The same for all elements.
struct Factors {
  float clip;          // on the gradient
  float step;          // on the moment
  float inverse_root;  // on the root of the second moment
  float keep;          // the factor on a decayed weight
};

// Reads Width (at most 4) elements at i, updates them, and writes them back.
template <typename T, int Width>
__device__ __forceinline__ void step(T* param, const AdamWState& state, int64_t i, const AdamWHyper& hyper,
                                     const Factors& factors, int64_t decayed) {
  auto master = load<float, Width>(state.master + i), m = load<float, Width>(state.m + i),
       v = load<float, Width>(state.v + i);
  const auto grad = load<float, Width>(state.grad + i);
  Pack<T, Width> rounded;
#pragma unroll
  for (int lane = 0; lane < Width; ++lane) {
    const float g = grad.at[lane] * factors.clip;
    m.at[lane] = hyper.beta1 * m.at[lane] + (1 - hyper.beta1) * g;
    v.at[lane] = hyper.beta2 * v.at[lane] + (1 - hyper.beta2) * g * g;
    const float change = factors.step * m.at[lane] / (sqrtf(v.at[lane]) * factors.inverse_root + hyper.epsilon);
    const float keep = i + lane < decayed ? factors.keep : 1.0f;
    master.at[lane] = master.at[lane] * keep - change;
    rounded.at[lane] = from_float<T>(master.at[lane]);
  }
  store(state.master + i, master);
  store(state.m + i, m);
  store(state.v + i, v);
  if constexpr (sizeof(T) < sizeof(float)) store(param + i, rounded);  // in f32, param is the master
}

// One thread, because all elements use the same corrections, and double precision is slow on many GPUs.
__global__ void __launch_bounds__(1)
    count_step_kernel(int* steps, float* corrections, const float* norm, const float* hyper) {
  if (!isfinite(*norm)) return;
  const double t = ++*steps;
  const double beta1 = double(hyper[offsetof(AdamWHyper, beta1) / 4]) + hyper[offsetof(AdamWHyper, beta1_rest) / 4];
  const double beta2 = double(hyper[offsetof(AdamWHyper, beta2) / 4]) + hyper[offsetof(AdamWHyper, beta2_rest) / 4];
  corrections[0] = float(1 - pow(beta1, t));
  corrections[1] = float(1 - pow(beta2, t));
}

template <typename T, int Width>
__global__ void __launch_bounds__(kThreads)
    adamw_kernel(T* param, AdamWState state, const float* corrections, const float* norm, const float* hyper_values,
                 int64_t size, int64_t decayed) {
  AdamWHyper hyper;
  hyper.learning_rate = hyper_values[offsetof(AdamWHyper, learning_rate) / 4];
  hyper.beta1 = hyper_values[offsetof(AdamWHyper, beta1) / 4];
  hyper.beta2 = hyper_values[offsetof(AdamWHyper, beta2) / 4];
  hyper.epsilon = hyper_values[offsetof(AdamWHyper, epsilon) / 4];
  hyper.weight_decay = hyper_values[offsetof(AdamWHyper, weight_decay) / 4];
  hyper.max_norm = hyper_values[offsetof(AdamWHyper, max_norm) / 4];
  const float gradient_norm = *norm;
  if (!isfinite(gradient_norm)) return;
  const bool clipped = hyper.max_norm > 0 && gradient_norm > hyper.max_norm;
  const Factors factors{clipped ? hyper.max_norm / gradient_norm : 1.0f, hyper.learning_rate / corrections[0],
                        1.0f / sqrtf(corrections[1]), 1.0f - hyper.learning_rate * hyper.weight_decay};
  const int64_t i = (int64_t(blockIdx.x) * kThreads + threadIdx.x) * Width;
  if (i + Width <= size) {
    step<T, Width>(param, state, i, hyper, factors, decayed);
  } else {
    for (int64_t j = i; j < size; ++j) step<T, 1>(param, state, j, hyper, factors, decayed);
  }
}

}  // namespace

void CudaKernels::adamw(const View& param, const View& master, const View& m, const View& v, const View& steps,
                        const View& corrections, const View& grad, const View& norm, const View& hyper,
                        int64_t decayed) {
  launch<count_step_kernel>("adamw", Launch{1, 1, 0, device_.stream}, steps.as<int>(), corrections.as<float>(),
                            norm.as<float>(), hyper.as<float>());
  with_type(param.dtype, [&](auto type) {
    using T = decltype(type);
    const AdamWState state{master.as<float>(), m.as<float>(), v.as<float>(), grad.as<float>()};
    const int64_t size = param.size();
    if (aligned_16(param.as<T>(), state.master, state.m, state.v, state.grad)) {
      const Launch at{blocks_for(size, kThreads * 4), kThreads, 0, device_.stream};
      launch<adamw_kernel<T, 4>>("adamw", at, param.as<T>(), state, corrections.as<float>(), norm.as<float>(),
                                 hyper.as<float>(), size, decayed);
    } else {
      const Launch at{blocks_for(size, kThreads), kThreads, 0, device_.stream};
      launch<adamw_kernel<T, 1>>("adamw", at, param.as<T>(), state, corrections.as<float>(), norm.as<float>(),
                                 hyper.as<float>(), size, decayed);
    }
  });
}

}  // namespace nextpatch::cuda
