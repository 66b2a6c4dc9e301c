// The elementwise parts of a Muon step (kernels.h): momentum and normalization before the products of Newton-Schulz,
// and the update of the weights behind them. A block's row of gridDim.y is a matrix. As in AdamW, what changes from
// step to step is on the device.
#include <algorithm>
#include <cstddef>

#include "../core/checked.h"
#include "block_reduce.cuh"
#include "cuda_kernels.h"
#include "dispatch.h"
#include "launch.cuh"
#include "shared.cuh"
#include "vector.cuh"

namespace nextpatch::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int kMostSlices = kThreads;  // of a matrix: one for each thread that adds them
constexpr size_t kScratchBytes = kThreads / 32 * sizeof(float);

__device__ __forceinline__ MuonHyper load_hyper(const float* values) {
  MuonHyper hyper;
  hyper.learning_rate = values[offsetof(MuonHyper, learning_rate) / 4];
  hyper.momentum = values[offsetof(MuonHyper, momentum) / 4];
  hyper.weight_decay = values[offsetof(MuonHyper, weight_decay) / 4];
  hyper.max_norm = values[offsetof(MuonHyper, max_norm) / 4];
  return hyper;
}

// Writes momentum and out; slices[matrix][b] = the sum of squares of what block b wrote to out.
template <typename T, int Width>
__global__ void __launch_bounds__(kThreads)
    muon_momentum_kernel(T* out, float* momentum, const float* grad, float* slices, const float* norm,
                         const float* hyper_values, int64_t cols, int64_t momentum_stride, int64_t grad_stride,
                         bool nesterov) {
  const float gradient_norm = *norm;
  if (!isfinite(gradient_norm)) return;
  const MuonHyper hyper = load_hyper(hyper_values);
  const bool clipped = hyper.max_norm > 0 && gradient_norm > hyper.max_norm;
  const float clip = clipped ? hyper.max_norm / gradient_norm : 1.0f, mu = hyper.momentum;
  out += int64_t(blockIdx.y) * cols;
  momentum += int64_t(blockIdx.y) * momentum_stride;
  grad += int64_t(blockIdx.y) * grad_stride;
  float sum = 0;
  for (int64_t i = (int64_t(blockIdx.x) * kThreads + threadIdx.x) * Width; i < cols;
       i += int64_t(gridDim.x) * kThreads * Width) {
    const auto g = load<float, Width>(grad + i);
    auto m = load<float, Width>(momentum + i);
    Pack<T, Width> rounded;
#pragma unroll
    for (int lane = 0; lane < Width; ++lane) {
      const float gradient = g.at[lane] * clip;
      m.at[lane] = mu * m.at[lane] + (1 - mu) * gradient;
      const float u = nesterov ? mu * m.at[lane] + (1 - mu) * gradient : m.at[lane];
      rounded.at[lane] = from_float<T>(u);
      sum += to_float(rounded.at[lane]) * to_float(rounded.at[lane]);
    }
    store(momentum + i, m);
    store(out + i, rounded);
  }
  sum = block_sum(sum, shared_memory<float>());
  if (threadIdx.x == 0) slices[blockIdx.y * gridDim.x + blockIdx.x] = sum;
}

// out /= the root of its matrix's slices, one for each block of a matrix. Every block adds them again: they are few,
// and no launch more is needed.
template <typename T, int Width>
__global__ void __launch_bounds__(kThreads)
    muon_normalize_kernel(T* out, const float* slices, const float* norm, int64_t cols) {
  if (!isfinite(*norm)) return;
  const unsigned count = gridDim.x;
  const float slice = threadIdx.x < count ? slices[blockIdx.y * count + threadIdx.x] : 0.0f;
  const float factor = 1.0f / fmaxf(sqrtf(block_sum(slice, shared_memory<float>())), kMuonEpsilon);
  out += int64_t(blockIdx.y) * cols;
  for (int64_t i = (int64_t(blockIdx.x) * kThreads + threadIdx.x) * Width; i < cols;
       i += int64_t(gridDim.x) * kThreads * Width) {
    auto u = load<T, Width>(out + i);
#pragma unroll
    for (int lane = 0; lane < Width; ++lane) u.at[lane] = from_float<T>(to_float(u.at[lane]) * factor);
    store(out + i, u);
  }
}

template <typename T, int Width>
__global__ void __launch_bounds__(kThreads)
    muon_update_kernel(T* param, float* master, const T* update, const float* norm, const float* hyper_values,
                       int64_t cols, int64_t param_stride, int64_t master_stride, float scale) {
  if (!isfinite(*norm)) return;
  const MuonHyper hyper = load_hyper(hyper_values);
  const float keep = 1 - hyper.learning_rate * hyper.weight_decay, step = hyper.learning_rate * scale;
  const int64_t i = (int64_t(blockIdx.x) * kThreads + threadIdx.x) * Width;
  if (i >= cols) return;
  param += int64_t(blockIdx.y) * param_stride + i;
  master += int64_t(blockIdx.y) * master_stride + i;
  const auto change = load<T, Width>(update + int64_t(blockIdx.y) * cols + i);
  auto weight = load<float, Width>(master);
  Pack<T, Width> rounded;
#pragma unroll
  for (int lane = 0; lane < Width; ++lane) {
    weight.at[lane] = weight.at[lane] * keep - step * to_float(change.at[lane]);
    rounded.at[lane] = from_float<T>(weight.at[lane]);
  }
  store(master, weight);
  if constexpr (sizeof(T) < sizeof(float)) store(param, rounded);  // in f32, param is the master
}

unsigned slices_of(int64_t cols) {
  return unsigned(std::min<int64_t>(kMostSlices, (cols + kThreads * 4 - 1) / (kThreads * 4)));
}

// Whether rows of a strided tensor begin where four of its elements can be accessed at once.
bool in_fours(const View& view) {
  return reinterpret_cast<uintptr_t>(view.data) % (4 * size_of(view.dtype)) == 0 && view.stride[0] % 4 == 0 &&
         view.dim(1) % 4 == 0;
}

template <typename T, int Width>
void momentum(const Device& device, const View& out, const View& momentum, const View& grad, const View& norm,
              const View& hyper, const View& workspace, bool nesterov) {
  const int64_t cols = out.dim(1);
  const Launch at{dim3(slices_of(cols), unsigned(out.dim(0))), kThreads, kScratchBytes, device.stream};
  launch<muon_momentum_kernel<T, Width>>("muon_momentum", at, out.as<T>(), momentum.as<float>(), grad.as<float>(),
                                         workspace.as<float>(), norm.as<float>(), hyper.as<float>(), cols,
                                         momentum.stride[0], grad.stride[0], nesterov);
  launch<muon_normalize_kernel<T, Width>>("muon_momentum", at, out.as<T>(), workspace.as<float>(), norm.as<float>(),
                                          cols);
}

template <typename T, int Width>
void update(const Device& device, const View& param, const View& master, const View& update, const View& norm,
            const View& hyper, float scale) {
  const int64_t cols = update.dim(1);
  const Launch at{dim3(blocks_for(cols, kThreads * Width), unsigned(update.dim(0))), kThreads, 0, device.stream};
  launch<muon_update_kernel<T, Width>>("muon_update", at, param.as<T>(), master.as<float>(), update.as<T>(),
                                       norm.as<float>(), hyper.as<float>(), cols, param.stride[0], master.stride[0],
                                       scale);
}

}  // namespace

void CudaKernels::muon_momentum(const View& out, const View& momentum_of, const View& grad, const View& norm,
                                const View& hyper, const View& workspace, bool nesterov) {
  const bool wide = in_fours(out) && in_fours(momentum_of) && in_fours(grad);
  with_type(out.dtype, [&](auto type) {
    using T = decltype(type);
    (wide ? momentum<T, 4> : momentum<T, 1>)(device_, out, momentum_of, grad, norm, hyper, workspace, nesterov);
  });
}

int64_t CudaKernels::muon_momentum_workspace(int64_t matrices, int64_t elements) const {
  return product_of({matrices, slices_of(elements)});
}

void CudaKernels::muon_update(const View& param, const View& master, const View& change, const View& norm,
                              const View& hyper, float scale) {
  const bool wide = in_fours(param) && in_fours(master) && in_fours(change);
  with_type(param.dtype, [&](auto type) {
    using T = decltype(type);
    (wide ? update<T, 4> : update<T, 1>)(device_, param, master, change, norm, hyper, scale);
  });
}

}  // namespace nextpatch::cuda
