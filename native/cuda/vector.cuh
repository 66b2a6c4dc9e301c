// 16-byte accesses, and conversions to and from f32, the type of all arithmetic.
#pragma once

#include <cuda_bf16.h>
#include <cuda_runtime.h>

#include <cstdint>
#include <cstring>

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

// `Width` adjacent elements, read and written in one access.
template <typename T, int Width>
struct alignas(sizeof(T) * Width) Pack {
  T at[Width];
};

// Elements in 16 bytes.
template <typename T>
constexpr int kWidth = 16 / sizeof(T);

// A type of the pack's size that one instruction can move.
template <size_t Bytes>
struct Words;
template <>
struct Words<16> {
  using type = uint4;
};
template <>
struct Words<8> {
  using type = uint2;
};
template <>
struct Words<4> {
  using type = unsigned int;
};
template <>
struct Words<2> {
  using type = unsigned short;
};

// A pack as it is in memory, for values kept during other work: otherwise compilers give every half of a register a
// full register.
template <typename T, int Width>
using Word = typename Words<sizeof(T) * Width>::type;

template <typename T, int Width>
__device__ __forceinline__ Word<T, Width> load_word(const T* from) {
  return *reinterpret_cast<const Word<T, Width>*>(from);
}
template <typename T, int Width>
__device__ __forceinline__ Pack<T, Width> unpacked(const Word<T, Width>& word) {
  Pack<T, Width> pack;
  memcpy(&pack, &word, sizeof word);
  return pack;
}
template <typename T, int Width>
__device__ __forceinline__ Word<T, Width> packed(const Pack<T, Width>& pack) {
  Word<T, Width> word;
  memcpy(&word, &pack, sizeof word);
  return word;
}
template <typename T, int Width>
__device__ __forceinline__ Pack<T, Width> load(const T* from) {
  return unpacked<T, Width>(load_word<T, Width>(from));
}
// To global memory only: the compiler may split a plain 16-byte store, but not this one.
template <typename T, int Width>
__device__ __forceinline__ void store(T* to, const Pack<T, Width>& pack) {
  __stwb(reinterpret_cast<Word<T, Width>*>(to), packed(pack));
}
// As store, for data that need not stay in the cache: its lines are evicted first.
template <typename T, int Width>
__device__ __forceinline__ void store_streaming(T* to, const Pack<T, Width>& pack) {
  __stcs(reinterpret_cast<Word<T, Width>*>(to), packed(pack));
}

// Host: whether all of the pointers are 16-byte aligned.
template <typename... Pointers>
bool aligned_16(const Pointers*... pointers) {
  return ((reinterpret_cast<uintptr_t>(pointers) % 16 == 0) && ...);
}

}  // namespace nextpatch::cuda
