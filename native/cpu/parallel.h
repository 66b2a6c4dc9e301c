// Distributes operations over threads. Each thread gets one contiguous range, and the result of an iteration never
// depends on which thread runs it.
#pragma once

#include <cstdint>

#include "../core/dtype.h"
#include "simd.h"

namespace nextpatch::cpu {

// Waking the team of threads costs a few microseconds: below this many elements one thread is faster.
constexpr int64_t kParallelElements = 1 << 15;

// Elements in a block of an elementwise operation: small enough to distribute, large enough to run at full speed.
constexpr int64_t kBlock = 4096;

// f(i) for i in [0, count), each touching about `elements` elements.
template <typename F>
void parallel_for(int64_t count, int64_t elements, const F& f) {
#pragma omp parallel for schedule(static) if (count > 1 && count * elements >= kParallelElements)
  for (int64_t i = 0; i < count; ++i) f(i);
}

// f(begin, end) for the blocks of [0, size).
template <typename F>
void parallel_blocks(int64_t size, const F& f) {
  parallel_for((size + kBlock - 1) / kBlock, kBlock, [&](int64_t block) {
    const int64_t begin = block * kBlock;
    f(begin, begin + kBlock < size ? begin + kBlock : size);
  });
}

// f(T{}), where T is the element type of a compute dtype.
template <typename F>
void with_type(DType dtype, const F& f) {
  if (dtype == DType::bf16) {
    f(bf16{});
  } else {
    f(float{});
  }
}

}  // namespace nextpatch::cpu
