// Rotary embedding in the half-split layout: element i of a head rotates with element i + D/2.
#include "cuda_kernels.h"
#include "dispatch.h"
#include "launch.cuh"
#include "vector.cuh"

namespace nextpatch::cuda {
namespace {

constexpr int kThreads = 256;

__global__ void __launch_bounds__(kThreads)
    rotary_table_kernel(float* table, const float* inverse_frequencies, float scale, int64_t size, int half) {
  const int64_t i = int64_t(blockIdx.x) * kThreads + threadIdx.x;
  if (i >= size) return;
  const float angle = float(i / half) * inverse_frequencies[i % half];
  table[2 * i] = scale * cosf(angle);
  table[2 * i + 1] = scale * sinf(angle);
}

struct RotaryShape {
  int64_t positions, heads, half;
  int64_t batch_stride, position_stride, head_stride;
};

// A cosine and a sine; in one load if wide accesses are possible.
template <int Width>
__device__ __forceinline__ Pack<float, 2> load_turn(const float* from) {
  if constexpr (Width > 1) return load<float, 2>(from);
  return {{from[0], from[1]}};
}

// One thread: Width elements of the lower half of one head, and those they rotate with.
template <typename T, int Width>
__global__ void __launch_bounds__(kThreads)
    rotary_kernel(T* x, const float* table, int64_t offset, float direction, int64_t size, RotaryShape shape) {
  const int64_t thread = int64_t(blockIdx.x) * kThreads + threadIdx.x;
  if (thread >= size) return;
  const int64_t chunks = shape.half / Width;
  const int64_t first = thread % chunks * Width;
  const int64_t head = thread / chunks % shape.heads;
  const int64_t row = thread / chunks / shape.heads;
  const int64_t position = row % shape.positions, sequence = row / shape.positions;
  T* const low =
      x + sequence * shape.batch_stride + position * shape.position_stride + head * shape.head_stride + first;
  T* const high = low + shape.half;
  const float* const turn = table + ((position + offset) * shape.half + first) * 2;
  auto a = load<T, Width>(low), b = load<T, Width>(high);
#pragma unroll
  for (int i = 0; i < Width; ++i) {
    const auto cos_sin = load_turn<Width>(turn + 2 * i);
    const float cos = cos_sin.at[0], sin = direction * cos_sin.at[1];
    const float u = to_float(a.at[i]), v = to_float(b.at[i]);
    a.at[i] = from_float<T>(u * cos - v * sin);
    b.at[i] = from_float<T>(v * cos + u * sin);
  }
  store(low, a);
  store(high, b);
}

template <typename T, int Width>
void rotary(const Device& device, const View& x, const View& table, int64_t offset, bool inverse) {
  const RotaryShape shape{x.dim(1), x.dim(2), x.dim(3) / 2, x.stride[0], x.stride[1], x.stride[2]};
  const int64_t size = x.size() / 2 / Width;
  const Launch at{blocks_for(size, kThreads), kThreads, 0, device.stream};
  launch<rotary_kernel<T, Width>>("rotary", at, x.as<T>(), table.as<float>(), offset, inverse ? -1.0f : 1.0f, size,
                                  shape);
}

}  // namespace

void CudaKernels::rotary_table(const View& table, const View& inverse_frequencies, float scale) {
  const int64_t size = table.size() / 2;
  const Launch at{blocks_for(size, kThreads), kThreads, 0, device_.stream};
  launch<rotary_table_kernel>("rotary_table", at, table.as<float>(), inverse_frequencies.as<float>(), scale, size,
                              int(inverse_frequencies.size()));
}

void CudaKernels::rotary(const View& x, const View& table, int64_t offset, bool inverse) {
  with_type(x.dtype, [&](auto type) {
    using T = decltype(type);
    const int64_t strides = x.stride[0] | x.stride[1] | x.stride[2];
    if (aligned_16(x.as<T>(), table.as<float>()) && (strides | (x.dim(3) / 2)) % kWidth<T> == 0) {
      cuda::rotary<T, kWidth<T>>(device_, x, table, offset, inverse);
    } else {
      cuda::rotary<T, 1>(device_, x, table, offset, inverse);
    }
  });
}

}  // namespace nextpatch::cuda
