// Vectors of 16 floats and their conversions from and to bf16, in GCC's vector extensions: the same source compiles
// to one AVX-512 register, two AVX2 registers or four SSE registers.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>

#if defined(__AVX512F__)
#include <immintrin.h>
#endif

namespace nextpatch::cpu {

constexpr int kLanes = 16;
typedef float Vec __attribute__((vector_size(64)));
typedef uint32_t VecU __attribute__((vector_size(64)));
typedef int32_t VecI __attribute__((vector_size(64)));
typedef uint16_t HalfVec __attribute__((vector_size(32)));

// bfloat16: the upper half of a float.
struct bf16 {
  uint16_t bits;
};

inline float to_float(float x) { return x; }
inline float to_float(bf16 x) {
  const uint32_t bits = uint32_t(x.bits) << 16;
  float out;
  std::memcpy(&out, &bits, 4);
  return out;
}

// Round to nearest even; NaN stays NaN.
inline bf16 to_bf16(float x) {
  uint32_t bits;
  std::memcpy(&bits, &x, 4);
  if ((bits & 0x7fffffffu) > 0x7f800000u) return bf16{uint16_t((bits >> 16) | 0x40)};
  return bf16{uint16_t((bits + 0x7fffu + ((bits >> 16) & 1)) >> 16)};
}

inline Vec splat(float x) { return Vec{} + x; }

inline Vec load(const float* p) {
  Vec v;
  std::memcpy(&v, p, sizeof v);
  return v;
}
inline void store(float* p, Vec v) { std::memcpy(p, &v, sizeof v); }

inline Vec load(const bf16* p) {
  HalfVec half;
  std::memcpy(&half, p, sizeof half);
#if defined(__AVX512F__)
  // GCC splits its own conversion into two 256-bit halves, and warns about the intrinsic without a mask.
  return (Vec)((VecU)_mm512_maskz_cvtepu16_epi32(0xffff, (__m256i)half) << 16);
#else
  return (Vec)(__builtin_convertvector(half, VecU) << 16);
#endif
}
inline void store(bf16* p, Vec v) {
#if defined(__AVX512BF16__) && defined(__AVX512BW__)
  const __m256bh half = _mm512_cvtneps_pbh((__m512)v);
  std::memcpy(p, &half, sizeof half);
#else
  const VecU bits = (VecU)v;
  const VecU rounded = (bits + 0x7fffu + ((bits >> 16) & 1)) >> 16;
  const VecU nan = (bits >> 16) | 0x40;
  const VecI is_nan = (VecI)((bits & 0x7fffffffu) > 0x7f800000u);
  const VecU chosen = (rounded & ~(VecU)is_nan) | (nan & (VecU)is_nan);
  const HalfVec half = __builtin_convertvector(chosen, HalfVec);
  std::memcpy(p, &half, sizeof half);
#endif
}

// The sum of the lanes in a fixed, pairwise order: the halves are added, then their halves, and so on.
inline float reduce_add(Vec v) {
  typedef float Half __attribute__((vector_size(32)));
  typedef float Quarter __attribute__((vector_size(16)));
  const Half half = __builtin_shufflevector(v, v, 0, 1, 2, 3, 4, 5, 6, 7) +
                    __builtin_shufflevector(v, v, 8, 9, 10, 11, 12, 13, 14, 15);
  const Quarter quarter =
      __builtin_shufflevector(half, half, 0, 1, 2, 3) + __builtin_shufflevector(half, half, 4, 5, 6, 7);
  return (quarter[0] + quarter[2]) + (quarter[1] + quarter[3]);
}
inline float reduce_max(Vec v) {
  float x[kLanes];
  store(x, v);
  for (int width = kLanes / 2; width > 0; width /= 2)
    for (int i = 0; i < width; ++i) x[i] = x[i] > x[i + width] ? x[i] : x[i + width];
  return x[0];
}
inline Vec max(Vec a, Vec b) { return a > b ? a : b; }
inline Vec min(Vec a, Vec b) { return a < b ? a : b; }

}  // namespace nextpatch::cpu
