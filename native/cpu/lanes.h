// Rows of any length as vectors of 16. The last, partial vector goes through a copy, so that a kernel's body is
// written once and compiled twice, for whole and for partial vectors.
#pragma once

#include "simd.h"

namespace nextpatch::cpu {

struct AllLanes {};

template <typename T>
inline Vec load(const T* p, AllLanes, float = 0) {
  return load(p);
}
template <typename T>
inline void store(T* p, Vec v, AllLanes) {
  store(p, v);
}

// Loads the first `count` lanes; the others are `rest`.
inline Vec load(const float* p, int count, float rest = 0) {
  Vec v = splat(rest);
  std::memcpy(&v, p, size_t(count) * sizeof *p);
  return v;
}
inline Vec load(const bf16* p, int count, float rest = 0) {
  bf16 x[kLanes];
  for (bf16& lane : x) lane = to_bf16(rest);
  std::memcpy(x, p, size_t(count) * sizeof *p);
  return load(x);
}
template <typename T>
inline void store(T* p, Vec v, int count) {
  T x[kLanes];
  store(x, v);
  std::memcpy(p, x, size_t(count) * sizeof *p);
}

// f(i, lanes) for i = 0, 16, 32, ... below n; f passes `lanes` on to load and store.
template <typename F>
inline void for_lanes(int64_t n, const F& f) {
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) f(i, AllLanes{});
  if (i < n) f(i, int(n - i));
}

// The sum of term(i, lanes), called as in for_lanes, in four partial sums, so that an addition need not wait for the
// one before it. Terms of partial vectors must be 0 in the missing lanes.
template <typename F>
inline Vec sum_lanes(int64_t n, const F& term) {
  Vec sum0 = {}, sum1 = {}, sum2 = {}, sum3 = {};
  int64_t i = 0;
  for (; i + 4 * kLanes <= n; i += 4 * kLanes) {
    sum0 += term(i, AllLanes{});
    sum1 += term(i + kLanes, AllLanes{});
    sum2 += term(i + 2 * kLanes, AllLanes{});
    sum3 += term(i + 3 * kLanes, AllLanes{});
  }
  for_lanes(n - i, [&](int64_t rest, auto lanes) { sum0 += term(i + rest, lanes); });
  return (sum0 + sum1) + (sum2 + sum3);
}

}  // namespace nextpatch::cpu
