// CUDA's built-in vector types, with its alignments.
#pragma once

#include <cstddef>
#include <cstdint>

#define NEXTPATCH_VECTOR_TYPE(name, type)                  \
  struct alignas(2 * sizeof(type)) name##2 { type x, y; }; \
  struct name##3 { type x, y, z; };                        \
  struct alignas(4 * sizeof(type)) name##4 { type x, y, z, w; };

NEXTPATCH_VECTOR_TYPE(uint, unsigned)
NEXTPATCH_VECTOR_TYPE(float, float)
#undef NEXTPATCH_VECTOR_TYPE

struct dim3 {
  unsigned x, y, z;
  constexpr dim3(unsigned x = 1, unsigned y = 1, unsigned z = 1) : x(x), y(y), z(z) {}
};
