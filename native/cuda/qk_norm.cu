// RMSNorm of queries and keys with the rotary embedding behind it, and the norm's gradient.
//
// A row is one head, or all heads of a position. Its threads each take Width elements of the lower half of a head and
// those of the upper half that they are turned with, so that norm and rotation share one pass over memory. A head's row
// belongs to a part of a warp, as many rows to a block as fit; a row of all heads to a whole block.
#include <algorithm>

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

constexpr int kThreads = 256;

struct Strides {
  int64_t batch, position, head;
};
Strides strides_of(const View& x) { return {x.stride[0], x.stride[1], x.stride[2]}; }

// Rows are counted in 32 bits, which are divided faster: no GPU holds 2^32 heads.
struct Shape {
  unsigned positions, rows, groups;  // rows: B * T * groups, of groups rows a position
  int half;                          // D / 2
  int head_chunks, chunks;           // pairs of Width elements in a head, in a row
  int threads;                       // of a row: a power of two up to 32, or kThreads

  __device__ int columns() const { return chunks / head_chunks * 2 * half; }
};

// A thread's place: which of the block's rows, and which of the row's threads.
struct Place {
  int slot, thread;
  __device__ explicit Place(const Shape& shape)
      : slot(int(threadIdx.x) / shape.threads), thread(int(threadIdx.x) % shape.threads) {}
};

// A row's first head.
template <typename T>
__device__ __forceinline__ T* row_of(T* x, const Strides& strides, const Shape& shape, unsigned row) {
  const unsigned place = row / shape.groups, group = row % shape.groups;
  return x + place / shape.positions * strides.batch + place % shape.positions * strides.position +
         group * strides.head;
}
// The lower elements of a pair, relative to its row.
template <int Width>
__device__ __forceinline__ int64_t pair_at(const Strides& strides, const Shape& shape, int chunk) {
  return chunk / shape.head_chunks * strides.head + chunk % shape.head_chunks * Width;
}
template <int Width>
__device__ __forceinline__ int column_of(const Shape& shape, int chunk) {
  return chunk / shape.head_chunks * 2 * shape.half + chunk % shape.head_chunks * Width;
}

// Every thread of a row receives the sum over the row. All threads of the block call it.
__device__ __forceinline__ float row_sum(float value, const Shape& shape) {
  if (shape.threads > 32) return block_sum(value, shared_memory<float>());
  for (int lanes = shape.threads / 2; lanes > 0; lanes /= 2) value += __shfl_xor_sync(kAllLanes, value, lanes);
  return value;
}

template <typename T, int Width>
struct Pair {
  Pack<T, Width> low, high;

  __device__ __forceinline__ static Pair at(const T* from, int half) {
    return {load<T, Width>(from), load<T, Width>(from + half)};
  }
};

template <typename T, int Width>
__device__ __forceinline__ float squares_of(const Pair<T, Width>& x) {
  float sum = 0;
#pragma unroll
  for (int i = 0; i < Width; ++i) {
    const float low = to_float(x.low.at[i]), high = to_float(x.high.at[i]);
    sum += low * low + high * high;
  }
  return sum;
}

template <typename T, int Width>
__device__ __forceinline__ void store_turned(T* out, const Pair<T, Width>& x, const T* weight, const float* turns,
                                             int half, float scale, float weight_offset) {
  const auto w = Pair<T, Width>::at(weight, half);
  Pack<T, Width> low, high;
#pragma unroll
  for (int i = 0; i < Width; ++i) {
    const float a = to_float(x.low.at[i]) * scale * (to_float(w.low.at[i]) + weight_offset);
    const float b = to_float(x.high.at[i]) * scale * (to_float(w.high.at[i]) + weight_offset);
    const float cos = turns ? turns[2 * i] : 1, sin = turns ? turns[2 * i + 1] : 0;
    low.at[i] = from_float<T>(a * cos - b * sin);
    high.at[i] = from_float<T>(b * cos + a * sin);
  }
  store(out, low);
  store(out + half, high);
}

template <typename T, int Width>
__global__ void __launch_bounds__(kThreads)
    qk_norm_forward_kernel(T* out, Strides out_strides, float* rstd, const T* x, Strides strides, const T* weight,
                           const float* table, int64_t offset, Shape shape, float epsilon, float weight_offset) {
  const Place place(shape);
  const unsigned row = blockIdx.x * unsigned(kThreads / shape.threads) + place.slot;
  const bool exists = row < shape.rows;
  const T* const from = row_of(x, strides, shape, exists ? row : 0);
  // The first pair stays in registers: all of a head's row.
  Pair<T, Width> first{};
  float squares = 0;
  if (exists) {
    if (place.thread < shape.chunks) {
      first = Pair<T, Width>::at(from + pair_at<Width>(strides, shape, place.thread), shape.half);
      squares = squares_of(first);
    }
    for (int chunk = place.thread + shape.threads; chunk < shape.chunks; chunk += shape.threads)
      squares += squares_of(Pair<T, Width>::at(from + pair_at<Width>(strides, shape, chunk), shape.half));
  }
  const float scale = rsqrtf(row_sum(squares, shape) / float(shape.columns()) + epsilon);
  if (!exists) return;
  if (place.thread == 0) rstd[row] = scale;
  T* const to = row_of(out, out_strides, shape, row);
  const int64_t position = int64_t(row / shape.groups % shape.positions) + offset;
  const float* const turns = table ? table + position * 2 * shape.half : nullptr;
  const auto write = [&](int chunk, const Pair<T, Width>& pair) {
    store_turned<T, Width>(
        to + pair_at<Width>(out_strides, shape, chunk), pair, weight + column_of<Width>(shape, chunk),
        turns ? turns + chunk % shape.head_chunks * 2 * Width : nullptr, shape.half, scale, weight_offset);
  };
  if (place.thread < shape.chunks) write(place.thread, first);
  for (int chunk = place.thread + shape.threads; chunk < shape.chunks; chunk += shape.threads)
    write(chunk, Pair<T, Width>::at(from + pair_at<Width>(strides, shape, chunk), shape.half));
}

template <typename T, int Width>
__device__ __forceinline__ float dot_of(const Pair<T, Width>& d, const Pair<T, Width>& x, const Pair<T, Width>& w,
                                        float weight_offset) {
  float dot = 0;
#pragma unroll
  for (int i = 0; i < Width; ++i) {
    dot += to_float(d.low.at[i]) * (to_float(w.low.at[i]) + weight_offset) * to_float(x.low.at[i]);
    dot += to_float(d.high.at[i]) * (to_float(w.high.at[i]) + weight_offset) * to_float(x.high.at[i]);
  }
  return dot;
}

template <typename T, int Width>
__device__ __forceinline__ Pack<T, Width> gradient(const Pack<T, Width>& d, const Pack<T, Width>& x,
                                                   const Pack<T, Width>& w, float scale, float dot,
                                                   float weight_offset) {
  Pack<T, Width> out;
#pragma unroll
  for (int i = 0; i < Width; ++i)
    out.at[i] =
        from_float<T>(scale * (to_float(d.at[i]) * (to_float(w.at[i]) + weight_offset) - to_float(x.at[i]) * dot));
  return out;
}

// slices[block, columns]: the weight's gradient from the block's rows. A column always belongs to the same threads: the
// first pair of each keeps its sums in registers, the others (of rows that have the whole block) in the slice. dx may
// be dout: a thread reads what it overwrites first. Shared memory: the block's rows of columns.
template <typename T, int Width>
__global__ void __launch_bounds__(kThreads)
    qk_norm_backward_kernel(T* dx, Strides dx_strides, float* slices, const T* dout, Strides dout_strides, const T* x,
                            Strides strides, const float* rstd, const T* weight, Shape shape, float weight_offset) {
  const Place place(shape);
  const unsigned slots = kThreads / shape.threads;
  const int columns = shape.columns();
  float* const slice = slices + int64_t(blockIdx.x) * columns;
  const bool holds = place.thread < shape.chunks;
  const int own = holds ? column_of<Width>(shape, place.thread) : 0;
  const auto w = Pair<T, Width>::at(weight + own, shape.half);
  float low_sum[Width] = {}, high_sum[Width] = {};
  bool begun = false;
#pragma unroll 1
  for (unsigned first_row = blockIdx.x * slots; first_row < shape.rows; first_row += gridDim.x * slots, begun = true) {
    const unsigned row = first_row + place.slot;
    const bool exists = row < shape.rows;
    const T* const row_d = row_of(dout, dout_strides, shape, exists ? row : 0);
    const T* const row_x = row_of(x, strides, shape, exists ? row : 0);
    T* const row_dx = row_of(dx, dx_strides, shape, exists ? row : 0);
    const float scale = exists ? rstd[row] : 0;
    const auto d_at = [&](int chunk) {
      return Pair<T, Width>::at(row_d + pair_at<Width>(dout_strides, shape, chunk), shape.half);
    };
    const auto x_at = [&](int chunk) {
      return Pair<T, Width>::at(row_x + pair_at<Width>(strides, shape, chunk), shape.half);
    };
    const auto w_at = [&](int chunk) {
      return Pair<T, Width>::at(weight + column_of<Width>(shape, chunk), shape.half);
    };
    const auto write = [&](int chunk, const Pair<T, Width>& d, const Pair<T, Width>& value, const Pair<T, Width>& by,
                           float dot) {
      T* const to = row_dx + pair_at<Width>(dx_strides, shape, chunk);
      store(to, gradient<T, Width>(d.low, value.low, by.low, scale, dot, weight_offset));
      store(to + shape.half, gradient<T, Width>(d.high, value.high, by.high, scale, dot, weight_offset));
    };
    Pair<T, Width> first_d{}, first_x{};
    float dot = 0;
    if (exists && holds) {
      first_d = d_at(place.thread);
      first_x = x_at(place.thread);
      dot = dot_of(first_d, first_x, w, weight_offset);
    }
    if (exists)
      for (int chunk = place.thread + shape.threads; chunk < shape.chunks; chunk += shape.threads)
        dot += dot_of(d_at(chunk), x_at(chunk), w_at(chunk), weight_offset);
    dot = row_sum(dot, shape) * scale * scale / float(columns);
    if (!exists) continue;
    if (holds) {
      write(place.thread, first_d, first_x, w, dot);
#pragma unroll
      for (int i = 0; i < Width; ++i) {
        low_sum[i] += to_float(first_d.low.at[i]) * to_float(first_x.low.at[i]) * scale;
        high_sum[i] += to_float(first_d.high.at[i]) * to_float(first_x.high.at[i]) * scale;
      }
    }
    for (int chunk = place.thread + shape.threads; chunk < shape.chunks; chunk += shape.threads) {
      const auto d = d_at(chunk), value = x_at(chunk);
      write(chunk, d, value, w_at(chunk), dot);
      float* const total = slice + column_of<Width>(shape, chunk);
#pragma unroll
      for (int i = 0; i < Width; ++i) {
        const float low = to_float(d.low.at[i]) * to_float(value.low.at[i]) * scale;
        const float high = to_float(d.high.at[i]) * to_float(value.high.at[i]) * scale;
        total[i] = begun ? total[i] + low : low;
        total[shape.half + i] = begun ? total[shape.half + i] + high : high;
      }
    }
  }

  if (slots == 1) {
    if (!holds) return;
#pragma unroll
    for (int i = 0; i < Width; ++i) {
      slice[own + i] = low_sum[i];
      slice[own + shape.half + i] = high_sum[i];
    }
    return;
  }
  float* const sums = shared_memory<float>();
  if (holds) {
#pragma unroll
    for (int i = 0; i < Width; ++i) {
      sums[place.slot * columns + own + i] = low_sum[i];
      sums[place.slot * columns + own + shape.half + i] = high_sum[i];
    }
  }
  __syncthreads();
  for (int col = int(threadIdx.x); col < columns; col += kThreads) {
    float total = 0;
    for (unsigned slot = 0; slot < slots; ++slot) total += sums[slot * columns + col];
    slice[col] = total;
  }
}

// Whether the norm is over all heads of a position.
bool over_heads(const View& x, const View& weight) { return weight.size() > x.dim(3); }

template <int Width>
Shape shape_of(const View& x, const View& weight) {
  Shape shape{};
  shape.positions = unsigned(x.dim(1));
  shape.groups = over_heads(x, weight) ? 1 : unsigned(x.dim(2));
  shape.rows = blocks_for(x.dim(0) * x.dim(1) * shape.groups, 1);
  shape.half = int(x.dim(3) / 2);
  shape.head_chunks = shape.half / Width;
  shape.chunks = int(x.dim(2) / shape.groups) * shape.head_chunks;
  shape.threads = kThreads;
  if (shape.chunks <= 32)
    for (shape.threads = 1; shape.threads < shape.chunks;) shape.threads *= 2;
  return shape;
}

// Whether all rows of the views allow 16-byte accesses to halves of heads.
template <typename T, typename... Views>
bool wide(const View& weight, const Views&... views) {
  const auto strides = [](const View& x) { return x.stride[0] | x.stride[1] | x.stride[2] | (x.dim(3) / 2); };
  return aligned_16(weight.as<T>(), views.template as<T>()...) && (strides(views) | ...) % kWidth<T> == 0;
}

}  // namespace

void CudaKernels::qk_norm_forward(const View& out, const View& rstd, const View& x, const View& weight,
                                  const View& table, int64_t offset, float epsilon, float weight_offset) {
  with_type(x.dtype, [&](auto type) {
    using T = decltype(type);
    const auto run = [&](auto width) {
      constexpr int kWide = decltype(width)::value;
      const Shape shape = shape_of<kWide>(x, weight);
      const Launch at{blocks_for(shape.rows, kThreads / shape.threads), kThreads, kThreads / 32 * sizeof(float),
                      device_.stream};
      launch<qk_norm_forward_kernel<T, kWide>>("qk_norm_forward", at, out.as<T>(), strides_of(out), rstd.as<float>(),
                                               x.as<T>(), strides_of(x), weight.as<T>(), table.as<float>(), offset,
                                               shape, epsilon, weight_offset);
    };
    if (wide<T>(weight, out, x)) {
      run(std::integral_constant<int, kWidth<T>>());
    } else {
      run(std::integral_constant<int, 1>());
    }
  });
}

void CudaKernels::qk_norm_backward(const View& dx, const View& dweight, const View& dout, const View& x,
                                   const View& rstd, const View& weight, const View& workspace, float weight_offset) {
  if (x.size() == 0) return;
  with_type(x.dtype, [&](auto type) {
    using T = decltype(type);
    const auto run = [&](auto width) {
      constexpr int kWide = decltype(width)::value;
      const Shape shape = shape_of<kWide>(x, weight);
      const int slots = kThreads / shape.threads;
      const int64_t columns = weight.size();
      const unsigned count = std::min(blocks_for(shape.rows, slots), unsigned(kSlices));
      const size_t shared_floats = slots == 1 ? kThreads / 32 : size_t(slots) * size_t(columns);
      launch<qk_norm_backward_kernel<T, kWide>>(
          "qk_norm_backward", {count, kThreads, shared_floats * sizeof(float), device_.stream}, dx.as<T>(),
          strides_of(dx), workspace.as<float>(), dout.as<T>(), strides_of(dout), x.as<T>(), strides_of(x),
          rstd.as<float>(), weight.as<T>(), shape, weight_offset);
      add_slices(device_, "qk_norm_backward", dweight.as<float>(), workspace.as<float>(), columns, count);
    };
    if (wide<T>(weight, dx, dout, x)) {
      run(std::integral_constant<int, kWidth<T>>());
    } else {
      run(std::integral_constant<int, 1>());
    }
  });
}

int64_t CudaKernels::qk_norm_backward_workspace(int64_t positions, int64_t heads, int64_t head_dim) const {
  return product_of({std::min(product_of({positions, heads}), kSlices), heads, head_dim});
}

}  // namespace nextpatch::cuda
