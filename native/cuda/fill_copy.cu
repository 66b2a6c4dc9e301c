// Fill and convert. Bound by memory, so only two things matter: wide accesses, contiguous across a warp, and enough of
// them in flight.
#include <type_traits>

#include "cuda_kernels.h"
#include "dispatch.h"
#include "launch.cuh"
#include "vector.cuh"

namespace nextpatch::cuda {
namespace {

constexpr int kThreads = 256;

template <typename T, int Width>
__global__ void __launch_bounds__(kThreads) fill_kernel(T* out, int64_t size, T value) {
  const int64_t i = (int64_t(blockIdx.x) * kThreads + threadIdx.x) * Width;
  if (i + Width <= size) {
    Pack<T, Width> pack;
#pragma unroll
    for (int lane = 0; lane < Width; ++lane) pack.at[lane] = value;
    store(out + i, pack);
  } else {
    for (int64_t j = i; j < size; ++j) out[j] = value;
  }
}

template <typename T>
void fill(const Device& device, const View& out, T value) {
  const int64_t size = out.size();
  if (aligned_16(out.as<T>())) {
    const Launch at{blocks_for(size, kThreads * kWidth<T>), kThreads, 0, device.stream};
    launch<fill_kernel<T, kWidth<T>>>("fill", at, out.as<T>(), size, value);
  } else {
    const Launch at{blocks_for(size, kThreads), kThreads, 0, device.stream};
    launch<fill_kernel<T, 1>>("fill", at, out.as<T>(), size, value);
  }
}

// Equal dtypes are copied bit for bit.
template <typename To, typename From>
__device__ __forceinline__ To convert(From x) {
  if constexpr (std::is_same_v<To, From>) {
    return x;
  } else {
    return from_float<To>(to_float(x));
  }
}

// Elements of a pack: 16 bytes of the wider type.
template <typename To, typename From>
constexpr int kCopyWidth = kWidth<To> < kWidth<From> ? kWidth<To> : kWidth<From>;
constexpr int kCopyPacks = 4;  // per thread, kThreads apart

template <typename To, typename From>
__global__ void __launch_bounds__(kThreads) copy_kernel(To* out, const From* in, int64_t size) {
  constexpr int kPack = kCopyWidth<To, From>, kStep = kThreads * kPack;
  const int64_t first = int64_t(blockIdx.x) * kStep * kCopyPacks + threadIdx.x * kPack;
  Word<From, kPack> words[kCopyPacks];
#pragma unroll
  for (int i = 0; i < kCopyPacks; ++i)
    if (first + i * kStep + kPack <= size) words[i] = load_word<From, kPack>(in + first + i * kStep);
#pragma unroll
  for (int i = 0; i < kCopyPacks; ++i) {
    const int64_t at = first + i * kStep;
    if (at + kPack <= size) {
      const auto pack = unpacked<From, kPack>(words[i]);
      Pack<To, kPack> converted;
#pragma unroll
      for (int lane = 0; lane < kPack; ++lane) converted.at[lane] = convert<To>(pack.at[lane]);
      store(out + at, converted);
    } else {
      for (int64_t j = at; j < size; ++j) out[j] = convert<To>(in[j]);
    }
  }
}

// Shape and strides by value, filled up with leading dimensions of 1.
struct Strided {
  int64_t shape[kMaxRank];
  int64_t out[kMaxRank];
  int64_t in[kMaxRank];
};

template <typename To, typename From>
__global__ void __launch_bounds__(kThreads) copy_strided_kernel(To* out, const From* in, int64_t size, Strided at) {
  int64_t rest = int64_t(blockIdx.x) * kThreads + threadIdx.x;
  if (rest >= size) return;
  int64_t to = 0, from = 0;
#pragma unroll
  for (int i = kMaxRank - 1; i >= 0; --i) {
    const int64_t index = rest % at.shape[i];
    rest /= at.shape[i];
    to += index * at.out[i];
    from += index * at.in[i];
  }
  out[to] = convert<To>(in[from]);
}

template <typename To, typename From>
void copy(const Device& device, const View& out, const View& in) {
  const int64_t size = out.size();
  if (out.contiguous() && in.contiguous() && aligned_16(out.as<To>(), in.as<From>())) {
    const Launch at{blocks_for(size, kThreads * kCopyWidth<To, From> * kCopyPacks), kThreads, 0, device.stream};
    launch<copy_kernel<To, From>>("copy", at, out.as<To>(), in.as<From>(), size);
    return;
  }
  Strided strided;
  for (int i = 0; i < kMaxRank; ++i) {
    const int dim = i - (kMaxRank - out.rank);
    strided.shape[i] = dim < 0 ? 1 : out.shape[dim];
    strided.out[i] = dim < 0 ? 0 : out.stride[dim];
    strided.in[i] = dim < 0 ? 0 : in.stride[dim];
  }
  const Launch at{blocks_for(size, kThreads), kThreads, 0, device.stream};
  launch<copy_strided_kernel<To, From>>("copy", at, out.as<To>(), in.as<From>(), size, strided);
}

}  // namespace

void CudaKernels::fill(const View& out, float value) {
  if (out.dtype == DType::i32) return cuda::fill<int>(device_, out, int(value));
  if (out.dtype == DType::f32) return cuda::fill<float>(device_, out, value);
  cuda::fill<bf16>(device_, out, bf16(value));
}

void CudaKernels::copy(const View& out, const View& in) {
  if (out.dtype == DType::i32) return cuda::copy<int, int>(device_, out, in);
  with_type(out.dtype, [&](auto to) {
    with_type(in.dtype, [&](auto from) { cuda::copy<decltype(to), decltype(from)>(device_, out, in); });
  });
}

}  // namespace nextpatch::cuda
