// What kernels use on the device: built-in variables, barriers, warp collectives, atomics, mathematics.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>

#include "../../races.h"
#include "../../runner.h"
#include "math.h"
#include "vector_types.h"

// The runner sets these whenever it switches to another thread.
extern uint3 threadIdx, blockIdx;
extern dim3 blockDim, gridDim;

// ---- Barriers -----------------------------------------------------------------------------------------

inline void __syncthreads() { nextpatch::simt::block_barrier("__syncthreads", 0, 0); }
inline void __syncwarp(unsigned mask = 0xffffffffu) {
  struct Nothing {
  } nothing;
  nextpatch::simt::meet<Nothing>("__syncwarp", mask, nothing,
                                 [](Nothing* const*, unsigned) { nextpatch::simt::order_warp(); });
}
inline void __threadfence_system() {}
[[noreturn]] inline void __trap() { nextpatch::simt::fail("__trap"); }

// ---- Shuffles -----------------------------------------------------------------------------------------

namespace nextpatch::simt {

template <typename T>
T shuffle(const char* what, unsigned mask, T value, int source) {
  struct Lane {
    T value;
    int source;
    T result;
  } lane{value, source, value};
  meet<Lane>(what, mask, lane, [](Lane* const* lanes, unsigned mask) {
    for (int i = 0; i < 32; ++i) {
      if (!(mask >> i & 1)) continue;
      const int source = lanes[i]->source;
      if (!(mask >> source & 1)) fail_in_lane(i, "reads a lane that is not in the mask");
      lanes[i]->result = lanes[source]->value;
    }
  });
  return lane.result;
}

inline int segment_start(int width) { return lane_index() & ~(width - 1); }

template <typename T, typename Combine>
T reduce(const char* what, unsigned mask, T value, Combine) {
  meet<T>(what, mask, value, [](T* const* lanes, unsigned mask) {
    bool first = true;
    T total{};
    for (int i = 0; i < 32; ++i) {
      if (!(mask >> i & 1)) continue;
      total = first ? *lanes[i] : Combine()(total, *lanes[i]);
      first = false;
    }
    for (int i = 0; i < 32; ++i)
      if (mask >> i & 1) *lanes[i] = total;
  });
  return value;
}

struct Add {
  template <typename T>
  T operator()(T a, T b) const {
    return a + b;
  }
};
struct Min {
  template <typename T>
  T operator()(T a, T b) const {
    return b < a ? b : a;
  }
};
struct Max {
  template <typename T>
  T operator()(T a, T b) const {
    return a < b ? b : a;
  }
};
struct And {
  template <typename T>
  T operator()(T a, T b) const {
    return a & b;
  }
};
struct Or {
  template <typename T>
  T operator()(T a, T b) const {
    return a | b;
  }
};

}  // namespace nextpatch::simt

template <typename T>
T __shfl_sync(unsigned mask, T value, int source, int width = 32) {
  const int start = nextpatch::simt::segment_start(width);
  return nextpatch::simt::shuffle("__shfl_sync", mask, value, start + (source & (width - 1)));
}
template <typename T>
T __shfl_xor_sync(unsigned mask, T value, int lanes, int width = 32) {
  const int lane = nextpatch::simt::lane_index(), source = lane ^ lanes;
  const bool inside = source < nextpatch::simt::segment_start(width) + width;
  return nextpatch::simt::shuffle("__shfl_xor_sync", mask, value, inside ? source : lane);
}
template <typename T>
T __shfl_down_sync(unsigned mask, T value, unsigned delta, int width = 32) {
  const int lane = nextpatch::simt::lane_index(), source = lane + int(delta);
  const bool inside = source < nextpatch::simt::segment_start(width) + width;
  return nextpatch::simt::shuffle("__shfl_down_sync", mask, value, inside ? source : lane);
}
template <typename T>
T __shfl_up_sync(unsigned mask, T value, unsigned delta, int width = 32) {
  const int lane = nextpatch::simt::lane_index(), source = lane - int(delta);
  const bool inside = source >= nextpatch::simt::segment_start(width);
  return nextpatch::simt::shuffle("__shfl_up_sync", mask, value, inside ? source : lane);
}

// ---- Votes and reductions -----------------------------------------------------------------------------

inline unsigned __ballot_sync(unsigned mask, int predicate) {
  const unsigned bit = predicate ? 1u << nextpatch::simt::lane_index() : 0;
  return nextpatch::simt::reduce("__ballot_sync", mask, bit, nextpatch::simt::Or());
}
inline int __any_sync(unsigned mask, int predicate) {
  return nextpatch::simt::reduce("__any_sync", mask, int(predicate != 0), nextpatch::simt::Or());
}
inline int __all_sync(unsigned mask, int predicate) {
  return nextpatch::simt::reduce("__all_sync", mask, int(predicate != 0), nextpatch::simt::And());
}
#define NEXTPATCH_REDUCE(type)                                                                \
  inline type __reduce_add_sync(unsigned mask, type value) {                                  \
    return nextpatch::simt::reduce("__reduce_add_sync", mask, value, nextpatch::simt::Add()); \
  }                                                                                           \
  inline type __reduce_min_sync(unsigned mask, type value) {                                  \
    return nextpatch::simt::reduce("__reduce_min_sync", mask, value, nextpatch::simt::Min()); \
  }                                                                                           \
  inline type __reduce_max_sync(unsigned mask, type value) {                                  \
    return nextpatch::simt::reduce("__reduce_max_sync", mask, value, nextpatch::simt::Max()); \
  }
NEXTPATCH_REDUCE(int)
NEXTPATCH_REDUCE(unsigned)
#undef NEXTPATCH_REDUCE

// ---- Atomics: threads switch only at collectives, so plain reads and writes are atomic -----------------

// Notes itself: the instrumentation for races would take it for a plain read and a plain write.
#define NEXTPATCH_ATOMIC(name, type, condition, next)                                     \
  __attribute__((no_sanitize("thread"))) inline type name(type* address, type value) {    \
    nextpatch::simt::note_access(address, sizeof(type), nextpatch::simt::Access::atomic); \
    const type old = *address;                                                            \
    if (condition) *address = next;                                                       \
    return old;                                                                           \
  }
#define NEXTPATCH_ATOMICS(type)                         \
  NEXTPATCH_ATOMIC(atomicAdd, type, true, old + value)  \
  NEXTPATCH_ATOMIC(atomicMin, type, value < old, value) \
  NEXTPATCH_ATOMIC(atomicExch, type, true, value)
NEXTPATCH_ATOMICS(int)
NEXTPATCH_ATOMICS(unsigned)
NEXTPATCH_ATOMICS(unsigned long long)
#undef NEXTPATCH_ATOMICS
#undef NEXTPATCH_ATOMIC

// ---- Memory -------------------------------------------------------------------------------------------

template <typename T>
void __stwb(T* address, T value) {
  nextpatch::simt::check_global("__stwb", address);
  *address = value;
}
template <typename T>
void __stcs(T* address, T value) {
  nextpatch::simt::check_global("__stcs", address);
  *address = value;
}

// ---- Mathematics --------------------------------------------------------------------------------------

using std::isfinite;
using std::max;
using std::min;

namespace nextpatch::simt {
template <typename To, typename From>
To bit_cast(From from) {
  static_assert(sizeof(To) == sizeof(From));
  To to;
  std::memcpy(&to, &from, sizeof to);
  return to;
}
}  // namespace nextpatch::simt

inline unsigned __float_as_uint(float v) { return nextpatch::simt::bit_cast<unsigned>(v); }
inline float __uint_as_float(unsigned v) { return nextpatch::simt::bit_cast<float>(v); }
// Errors as in the CUDA C++ Programming Guide, "Mathematical Functions": 2 ulp for rsqrtf and for the 2^x that __expf
// is made of.
inline float rsqrtf(float v) { return nextpatch::simt::approximate(1.0f / std::sqrt(v), v, 2); }
inline float __expf(float v) {
  if (!nextpatch::simt::hardware_math()) return std::exp(v);
  const float power = v * 1.44269504f;
  return nextpatch::simt::approximate(std::exp2(power), power, 2);
}
inline float __fmul_rn(float a, float b) { return a * b; }
inline int __popc(unsigned v) { return __builtin_popcount(v); }
inline unsigned __umulhi(unsigned a, unsigned b) { return unsigned(uint64_t(a) * b >> 32); }
