// Elementary functions on vectors (exp within 1 ulp, exp2 within 2.3 ulp) and the register type they work on.
#pragma once

#include "simd.h"

#if defined(__AVX512F__)
#include <immintrin.h>
#endif

namespace nextpatch::cpu {

// One register of the instruction set; a Vec is one or more of them. Code that keeps many vectors in registers
// uses Reg, since GCC keeps a Vec that is wider than a register in memory.
#if defined(__AVX512F__)
constexpr int kRegLanes = 16;
#elif defined(__AVX__)
constexpr int kRegLanes = 8;
#else
constexpr int kRegLanes = 4;
#endif
// How many registers there are.
#if defined(__AVX512F__) || defined(__aarch64__)
constexpr int kRegs = 32;
#else
constexpr int kRegs = 16;
#endif
typedef float Reg __attribute__((vector_size(4 * kRegLanes)));
typedef uint32_t RegU __attribute__((vector_size(4 * kRegLanes)));

inline Reg reg_splat(float x) { return Reg{} + x; }
inline Reg reg_load(const float* p) {
  Reg v;
  std::memcpy(&v, p, sizeof v);
  return v;
}
inline void reg_store(float* p, Reg v) { std::memcpy(p, &v, sizeof v); }

// The larger and the smaller of the two; x if x is NaN. (maskz: GCC 12 warns about the plain forms.)
inline Reg reg_max(Reg bound, Reg x) {
#if defined(__AVX512F__)
  return (Reg)_mm512_maskz_max_ps(0xffff, (__m512)bound, (__m512)x);
#else
  return x < bound ? bound : x;
#endif
}
inline Reg reg_min(Reg bound, Reg x) {
#if defined(__AVX512F__)
  return (Reg)_mm512_maskz_min_ps(0xffff, (__m512)bound, (__m512)x);
#else
  return x > bound ? bound : x;
#endif
}

// The integer nearest to x, |x| < 2^22.
struct Rounded {
  Reg whole;
  RegU bits;  // whole as an integer, two's complement
};
inline Rounded round_nearest(Reg x) {
  const Reg magic = reg_splat(12582912.f);  // 1.5 * 2^23: the sum has no fraction bits
  const Reg shifted = x + magic;
  return {shifted - magic, (RegU)shifted - (RegU)magic};
}

// x * 2^n for n in [-152, 254], in two steps of which the first is exact, so that subnormals are rounded once.
inline Reg scale_by_power(Reg x, Rounded n) {
#if defined(__AVX512F__)
  return (Reg)_mm512_maskz_scalef_ps(0xffff, (__m512)x, (__m512)n.whole);
#else
  const RegU biased = n.bits + 152;  // not negative, so the shift halves it
  const RegU first = biased >> 1, second = biased - first;
  return x * (Reg)((first + (127 - 76)) << 23) * (Reg)((second + (127 - 76)) << 23);
#endif
}

// e^x: 0 at -inf, inf from 88.73 on, NaN at NaN.
inline Reg exp(Reg x) {
  x = reg_min(reg_splat(89.f), reg_max(reg_splat(-104.f), x));
  const Rounded n = round_nearest(x * 1.44269504088896341f);
  // ln 2 in two parts; the first has so few bits that its product with n is exact.
  Reg r = x - n.whole * 0.693145751953125f;
  r = r - n.whole * 1.428606765330187e-6f;
  Reg p = reg_splat(0.000198527617612853646f);
  p = p * r + 0.00139304355252534151f;
  p = p * r + 0.00833336077630519867f;
  p = p * r + 0.0416664853692054749f;
  p = p * r + 0.166666671633720398f;
  p = p * r + 0.5f;
  return scale_by_power(r * r * p + r + 1.f, n);
}

// 2^x: 0 at -inf, inf from 128 on, NaN at NaN.
inline Reg exp2(Reg x) {
#if defined(__AVX512F__) && defined(__AVX512DQ__)
  // At an infinity, roundscale returns it and reduce returns 0 by definition.
  const Rounded n{(Reg)_mm512_maskz_roundscale_ps(0xffff, (__m512)x, 0), RegU{}};
  const Reg r = (Reg)_mm512_maskz_reduce_ps(0xffff, (__m512)x, 0);
#else
  x = reg_min(reg_splat(129.f), reg_max(reg_splat(-151.f), x));
  const Rounded n = round_nearest(x);
  const Reg r = x - n.whole;
#endif
  // (2^r - 1) / r; minimises the relative error of 2^r over [-1/2, 1/2], which is at most 9.2e-8.
  Reg p = reg_splat(0.001326472731307149f);
  p = p * r + 0.009671512991189957f;
  p = p * r + 0.05550733581185341f;
  p = p * r + 0.24022242426872253f;
  p = p * r + 0.6931470036506653f;
  return scale_by_power(p * r + 1.f, n);
}

#if !defined(__AVX512F__)
inline Vec exp(Vec x) {
  float lanes[kLanes];
  store(lanes, x);
  for (int i = 0; i < kLanes; i += kRegLanes) reg_store(lanes + i, exp(reg_load(lanes + i)));
  return load(lanes);
}
#endif

}  // namespace nextpatch::cpu
