// 16-byte accesses, and f32 as the type that arithmetic is done in.
#pragma once

#include <cuda_bf16.h>
#include <cuda_runtime.h>

#include <cstdint>

namespace nextpatch::cuda {

using bf16 = __nv_bfloat16;

__device__ __forceinline__ float to_float(float x) { return x; }
__device__ __forceinline__ float to_float(bf16 x) { return __bfloat162float(x); }

// Rounded to nearest even.
template <typename T>
__device__ __forceinline__ T from_float(float x);
template <>
__device__ __forceinline__ float from_float<float>(float x) {
  return x;
}
template <>
__device__ __forceinline__ bf16 from_float<bf16>(float x) {
  return __float2bfloat16(x);
}

// `Width` neighbouring elements, read and written in one access.
template <typename T, int Width>
struct alignas(sizeof(T) * Width) Pack {
  T at[Width];
};

// Elements in 16 bytes.
template <typename T>
constexpr int kWidth = 16 / sizeof(T);

template <typename T, int Width>
__device__ __forceinline__ Pack<T, Width> load(const T* from) {
  return *reinterpret_cast<const Pack<T, Width>*>(from);
}
template <typename T, int Width>
__device__ __forceinline__ void store(T* to, const Pack<T, Width>& pack) {
  *reinterpret_cast<Pack<T, Width>*>(to) = pack;
}

// Host: whether all of the pointers are 16-byte aligned.
template <typename... Pointers>
bool aligned_16(const Pointers*... pointers) {
  return ((reinterpret_cast<uintptr_t>(pointers) % 16 == 0) && ...);
}

}  // namespace nextpatch::cuda
