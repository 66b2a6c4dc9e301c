// RMSNorm with the residual added before it or behind it, and its gradient.
//
// A block's 8 warps divide its rows among them, 1, 2, 4 or 8 warps per row, the fewest that hold a row in kHeld packs
// per thread (one warp per row up to C = 1024 in bf16, all eight at 8192), so that all threads are busy at any width.
// Both passes are bound by memory, so many loads must be in flight: a thread loads all its packs of a row, of every
// input, before the sum over the row makes it wait, and continues from registers. Only the part of a row beyond that
// is read from memory twice. Without wide accesses there are always eight warps per row.
#include <algorithm>
#include <type_traits>

#include "../core/checked.h"
#include "block_reduce.cuh"
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
constexpr int kHeld = 4;  // packs of a row that a thread keeps in registers

// A thread's place if RowWarps warps share a row.
template <int RowWarps>
struct RowThread {
  static constexpr int kRows = kWarps / RowWarps;  // per block at once
  static constexpr int kRowThreads = RowWarps * 32;

  int row = int(threadIdx.x) / kRowThreads;     // among the block's
  int thread = int(threadIdx.x) % kRowThreads;  // of the row's
};

// Every thread of a row receives the sum over the row, in a fixed order. The whole block calls it; `scratch`: kWarps
// floats, not those of the previous call.
template <int RowWarps>
__device__ __forceinline__ float row_sum(float value, float* scratch) {
  value = warp_sum(value);
  if constexpr (RowWarps == 1) return value;
  const int warp = int(threadIdx.x) / 32;
  if (threadIdx.x % 32 == 0) scratch[warp] = value;
  __syncthreads();
  float sum = 0;
#pragma unroll
  for (int i = 0; i < RowWarps; ++i) sum += scratch[warp / RowWarps * RowWarps + i];
  return sum;
}

// ---- Forward ------------------------------------------------------------------------------------------

template <typename T, int Width>
__device__ __forceinline__ Pack<T, Width> added(const Pack<T, Width>& a, const Pack<T, Width>& b) {
  Pack<T, Width> sum;
#pragma unroll
  for (int j = 0; j < Width; ++j) sum.at[j] = from_float<T>(to_float(a.at[j]) + to_float(b.at[j]));
  return sum;
}

template <typename T, int Width>
__device__ __forceinline__ float sum_of_squares(const Pack<T, Width>& pack) {
  float sum = 0;
#pragma unroll
  for (int j = 0; j < Width; ++j) sum += to_float(pack.at[j]) * to_float(pack.at[j]);
  return sum;
}

template <typename T, int Width>
__device__ __forceinline__ Pack<T, Width> normed(const Pack<T, Width>& pack, const Pack<T, Width>& weight, float scale,
                                                 float weight_offset) {
  Pack<T, Width> out;
#pragma unroll
  for (int j = 0; j < Width; ++j)
    out.at[j] = from_float<T>(to_float(pack.at[j]) * scale * (to_float(weight.at[j]) + weight_offset));
  return out;
}

template <typename T, int Width>
__device__ __forceinline__ Pack<T, Width> normed_onto(const Pack<T, Width>& residual, const Pack<T, Width>& pack,
                                                      const Pack<T, Width>& weight, float scale, float weight_offset) {
  Pack<T, Width> out;
#pragma unroll
  for (int j = 0; j < Width; ++j)
    out.at[j] = from_float<T>(to_float(residual.at[j]) +
                              to_float(pack.at[j]) * scale * (to_float(weight.at[j]) + weight_offset));
  return out;
}

// Where the stream is added.
enum class Residual { none, before, behind };

// `add` is absent with Residual::none, `sum` but with Residual::before. out may be add if the residual comes behind: a
// thread reads what it overwrites first.
template <typename T, int Width, int RowWarps>
__global__ void __launch_bounds__(kThreads, 3)
    rmsnorm_forward_kernel(T* out, T* sum, float* rstd, const T* x, const T* add, Residual residual, const T* weight,
                           int64_t rows, int64_t cols, float epsilon, float weight_offset) {
  using At = RowThread<RowWarps>;
  constexpr int kStep = At::kRowThreads * Width;  // from a thread's pack to its next
  const At at;
  const int64_t row = int64_t(blockIdx.x) * At::kRows + at.row;
  // The thread's first element, and the row's end relative to it.
  const int64_t first = at.thread * Width, end = (row < rows ? cols : 0) - first;
  x += row * cols + first;
  out += row * cols + first;
  weight += first;
  const bool before = residual == Residual::before, behind = residual == Residual::behind;
  if (before || behind) add += row * cols + first;
  if (before) sum += row * cols + first;

  Word<T, Width> values[kHeld], others[kHeld], weights[kHeld];
#pragma unroll
  for (int i = 0; i < kHeld; ++i) {
    if (i * kStep >= end) continue;
    values[i] = load_word<T, Width>(x + i * kStep);
    if (before || behind) others[i] = load_word<T, Width>(add + i * kStep);
    weights[i] = load_word<T, Width>(weight + i * kStep);
  }
  float squares = 0;
#pragma unroll
  for (int i = 0; i < kHeld; ++i) {
    if (i * kStep >= end) continue;
    auto value = unpacked<T, Width>(values[i]);
    if (before) {
      value = added(value, unpacked<T, Width>(others[i]));
      values[i] = packed(value);
      store(sum + i * kStep, value);
    }
    squares += sum_of_squares(value);
  }
#pragma unroll 1
  for (int64_t i = kHeld * kStep; i < end; i += kStep) {
    auto value = load<T, Width>(x + i);
    if (before) {
      value = added(value, load<T, Width>(add + i));
      store(sum + i, value);
    }
    squares += sum_of_squares(value);
  }

  const float scale = rsqrtf(row_sum<RowWarps>(squares, shared_memory<float>()) / float(cols) + epsilon);
  if (at.thread == 0 && row < rows) rstd[row] = scale;
#pragma unroll
  for (int i = 0; i < kHeld; ++i) {
    if (i * kStep >= end) continue;
    const auto value = unpacked<T, Width>(values[i]), near_weight = unpacked<T, Width>(weights[i]);
    if (behind) {
      store(out + i * kStep, normed_onto(unpacked<T, Width>(others[i]), value, near_weight, scale, weight_offset));
    } else {
      store(out + i * kStep, normed(value, near_weight, scale, weight_offset));
    }
  }
  const T* const summed = before ? sum : x;
#pragma unroll 1
  for (int64_t i = kHeld * kStep; i < end; i += kStep) {
    const auto value = load<T, Width>(summed + i), far_weight = load<T, Width>(weight + i);
    if (behind) {
      store(out + i, normed_onto(load<T, Width>(add + i), value, far_weight, scale, weight_offset));
    } else {
      store(out + i, normed(value, far_weight, scale, weight_offset));
    }
  }
}

// ---- Backward -----------------------------------------------------------------------------------------

// A pack's contribution to the sum over the row.
template <typename T, int Width>
__device__ __forceinline__ float dot_of(const Pack<T, Width>& dout, const Pack<T, Width>& sum,
                                        const Pack<T, Width>& weight, float weight_offset) {
  float dot = 0;
#pragma unroll
  for (int j = 0; j < Width; ++j)
    dot += to_float(dout.at[j]) * (to_float(weight.at[j]) + weight_offset) * to_float(sum.at[j]);
  return dot;
}

// `dx`: its present value, if the gradient is added to it.
template <typename T, int Width>
__device__ __forceinline__ Pack<T, Width> gradient(const Pack<T, Width>& dx, const Pack<T, Width>& dout,
                                                   const Pack<T, Width>& sum, const Pack<T, Width>& weight, float scale,
                                                   float dot, bool accumulate, float weight_offset) {
  Pack<T, Width> out;
#pragma unroll
  for (int j = 0; j < Width; ++j) {
    const float here =
        scale * (to_float(dout.at[j]) * (to_float(weight.at[j]) + weight_offset) - to_float(sum.at[j]) * dot);
    out.at[j] = from_float<T>(accumulate ? to_float(dx.at[j]) + here : here);
  }
  return out;
}

// slices[block, cols]: the weight's gradient from the block's rows. A column of a row always belongs to one thread:
// each thread sums its columns over its rows, and the block combines the sums of its threads.
// Shared memory: 2 * kWarps floats, then At::kRows rows of the columns that threads hold.
template <typename T, int Width, int RowWarps>
__global__ void __launch_bounds__(kThreads, 2)
    rmsnorm_backward_kernel(T* dx, float* slices, const T* dout, const T* sum, const float* rstd, const T* weight,
                            int64_t rows, int64_t cols, bool accumulate, float weight_offset) {
  using At = RowThread<RowWarps>;
  constexpr int kStep = At::kRowThreads * Width;
  const At at;
  float* const scratch = shared_memory<float>();
  float* const slice = slices + int64_t(blockIdx.x) * cols;
  const int64_t first = at.thread * Width;
  weight += first;

  float dweight[kHeld][Width] = {};
  int step = 0;
#pragma unroll 1
  for (int64_t first_row = int64_t(blockIdx.x) * At::kRows; first_row < rows;
       first_row += int64_t(gridDim.x) * At::kRows, ++step) {
    const int64_t row = first_row + at.row, end = (row < rows ? cols : 0) - first;
    const T* const row_dout = dout + row * cols + first;
    const T* const row_sums = sum + row * cols + first;
    T* const row_dx = dx + row * cols + first;
    const float scale = row < rows ? rstd[row] : 0;
    Word<T, Width> d[kHeld], s[kHeld], before[kHeld];
#pragma unroll
    for (int i = 0; i < kHeld; ++i) {
      if (i * kStep >= end) continue;
      d[i] = load_word<T, Width>(row_dout + i * kStep);
      s[i] = load_word<T, Width>(row_sums + i * kStep);
      if (accumulate) before[i] = load_word<T, Width>(row_dx + i * kStep);
    }
    float dot = 0;
#pragma unroll
    for (int i = 0; i < kHeld; ++i)
      if (i * kStep < end)
        dot += dot_of(unpacked<T, Width>(d[i]), unpacked<T, Width>(s[i]), load<T, Width>(weight + i * kStep),
                      weight_offset);
#pragma unroll 1
    for (int64_t i = kHeld * kStep; i < end; i += kStep)
      dot +=
          dot_of(load<T, Width>(row_dout + i), load<T, Width>(row_sums + i), load<T, Width>(weight + i), weight_offset);
    dot = row_sum<RowWarps>(dot, scratch + step % 2 * kWarps) * scale * scale / float(cols);

#pragma unroll
    for (int i = 0; i < kHeld; ++i) {
      if (i * kStep >= end) continue;
      // The weight again, from the cache, to save registers.
      const auto near_w = load<T, Width>(weight + i * kStep);
      const auto near_d = unpacked<T, Width>(d[i]), near_s = unpacked<T, Width>(s[i]);
      store(row_dx + i * kStep,
            gradient(unpacked<T, Width>(before[i]), near_d, near_s, near_w, scale, dot, accumulate, weight_offset));
#pragma unroll
      for (int j = 0; j < Width; ++j) dweight[i][j] += to_float(near_d.at[j]) * to_float(near_s.at[j]) * scale;
    }
    // Beyond the registers, all warps have the same row, and the sums are in the slice.
#pragma unroll 1
    for (int64_t i = kHeld * kStep; i < end; i += kStep) {
      const auto far_d = load<T, Width>(row_dout + i), far_s = load<T, Width>(row_sums + i);
      Pack<T, Width> far_before{};
      if (accumulate) far_before = load<T, Width>(row_dx + i);
      store(row_dx + i,
            gradient(far_before, far_d, far_s, load<T, Width>(weight + i), scale, dot, accumulate, weight_offset));
#pragma unroll
      for (int j = 0; j < Width; ++j) {
        float* const total = slice + first + i + j;
        const float here = to_float(far_d.at[j]) * to_float(far_s.at[j]) * scale;
        *total = step == 0 ? here : *total + here;
      }
    }
  }

  const int held = int(min(cols, int64_t(kHeld * kStep)));
  float* const totals = shared_memory<float>(2 * kWarps * sizeof(float));
  constexpr int kPart = Width < 4 ? Width : 4;  // in one access; separate ones would have bank conflicts
#pragma unroll
  for (int i = 0; i < kHeld; ++i) {
    if (i * kStep + first >= held) continue;
#pragma unroll
    for (int j = 0; j < Width; j += kPart) {
      Pack<float, kPart> part;
#pragma unroll
      for (int lane = 0; lane < kPart; ++lane) part.at[lane] = dweight[i][j + lane];
      *reinterpret_cast<Pack<float, kPart>*>(totals + at.row * held + i * kStep + first + j) = part;
    }
  }
  __syncthreads();
  for (int col = int(threadIdx.x); col < held; col += kThreads) {
    float total = 0;
#pragma unroll
    for (int i = 0; i < At::kRows; ++i) total += totals[i * held + col];
    slice[col] = total;
  }
}

// ---- Launching ----------------------------------------------------------------------------------------

// Calls f(std::integral_constant<int, RowWarps>()).
template <int Width, typename F>
void with_row_warps(int64_t cols, const F& f) {
  const int64_t held_by_warp = 32 * kHeld * Width;
  if (Width == 1 || cols > 4 * held_by_warp) return f(std::integral_constant<int, 8>());
  if constexpr (Width > 1) {
    if (cols > 2 * held_by_warp) return f(std::integral_constant<int, 4>());
    if (cols > held_by_warp) return f(std::integral_constant<int, 2>());
    f(std::integral_constant<int, 1>());
  }
}

template <typename T, int Width>
void forward(const Device& device, const View& out, const View& sum, const View& rstd, const View& x, const View& add,
             Residual residual, const View& weight, float epsilon, float weight_offset) {
  with_row_warps<Width>(x.cols(), [&](auto row_warps) {
    constexpr int kRowWarps = decltype(row_warps)::value;
    const Launch at{blocks_for(x.rows(), RowThread<kRowWarps>::kRows), kThreads, kWarps * sizeof(float), device.stream};
    launch<rmsnorm_forward_kernel<T, Width, kRowWarps>>("rmsnorm_forward", at, out.as<T>(), sum.as<T>(),
                                                        rstd.as<float>(), x.as<T>(), add.as<T>(), residual,
                                                        weight.as<T>(), x.rows(), x.cols(), epsilon, weight_offset);
  });
}

template <typename T, int Width>
void backward(const Device& device, const View& dx, const View& dweight, const View& dout, const View& sum,
              const View& rstd, const View& weight, float* slices, bool accumulate, float weight_offset) {
  const int64_t rows = dout.rows(), cols = dout.cols();
  unsigned count = 0;
  with_row_warps<Width>(cols, [&](auto row_warps) {
    constexpr int kRowWarps = decltype(row_warps)::value, kRows = RowThread<kRowWarps>::kRows;
    const int64_t held = std::min<int64_t>(cols, kHeld * kRowWarps * 32 * Width);
    const size_t shared_bytes = size_t(2 * kWarps + kRows * held) * sizeof(float);
    count = std::min(blocks_for(rows, kRows), unsigned(kSlices));
    launch<rmsnorm_backward_kernel<T, Width, kRowWarps>>(
        "rmsnorm_backward", {count, kThreads, shared_bytes, device.stream}, dx.as<T>(), slices, dout.as<T>(),
        sum.as<T>(), rstd.as<float>(), weight.as<T>(), rows, cols, accumulate, weight_offset);
  });
  add_slices(device, "rmsnorm_backward", dweight.as<float>(), slices, cols, count);
}

void any_forward(const Device& device, const View& out, const View& sum, const View& rstd, const View& x,
                 const View& add, Residual residual, const View& weight, float epsilon, float weight_offset) {
  with_type(x.dtype, [&](auto type) {
    using T = decltype(type);
    const bool wide =
        x.cols() % kWidth<T> == 0 && aligned_16(out.as<T>(), sum.as<T>(), x.as<T>(), add.as<T>(), weight.as<T>());
    if (wide) {
      forward<T, kWidth<T>>(device, out, sum, rstd, x, add, residual, weight, epsilon, weight_offset);
    } else {
      forward<T, 1>(device, out, sum, rstd, x, add, residual, weight, epsilon, weight_offset);
    }
  });
}

}  // namespace

void CudaKernels::rmsnorm_forward(const View& out, const View& sum, const View& rstd, const View& x, const View& add,
                                  const View& weight, float epsilon, float weight_offset) {
  const Residual residual = add ? Residual::before : Residual::none;
  any_forward(device_, out, sum, rstd, x, add, residual, weight, epsilon, weight_offset);
}

void CudaKernels::rmsnorm_residual_forward(const View& out, const View& rstd, const View& residual, const View& x,
                                           const View& weight, float epsilon, float weight_offset) {
  any_forward(device_, out, View(), rstd, x, residual, Residual::behind, weight, epsilon, weight_offset);
}

void CudaKernels::rmsnorm_backward(const View& dx, const View& dweight, const View& dout, const View& sum,
                                   const View& rstd, const View& weight, const View& workspace, bool accumulate,
                                   float weight_offset) {
  if (dout.rows() == 0) return;
  float* const slices = workspace.as<float>();
  with_type(dout.dtype, [&](auto type) {
    using T = decltype(type);
    const bool wide = dout.cols() % kWidth<T> == 0 && aligned_16(dx.as<T>(), dout.as<T>(), sum.as<T>(), weight.as<T>());
    if (wide) {
      backward<T, kWidth<T>>(device_, dx, dweight, dout, sum, rstd, weight, slices, accumulate, weight_offset);
    } else {
      backward<T, 1>(device_, dx, dweight, dout, sum, rstd, weight, slices, accumulate, weight_offset);
    }
  });
}

int64_t CudaKernels::rmsnorm_backward_workspace(int64_t rows, int64_t cols) const {
  return product_of({std::min(rows, kSlices), cols});
}

}  // namespace nextpatch::cuda
