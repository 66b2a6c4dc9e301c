// Matrices in host memory, for tests of products.
#pragma once

#include <cstdlib>
#include <cstring>

#include "../../../core/view.h"

namespace nextpatch {

// A matrix that begins `offset` elements behind an address that is a multiple of 256, and ends with its memory, so that
// AddressSanitizer sees the first byte behind it.
struct Matrix {
  View view;

  Matrix(DType dtype, int64_t rows, int64_t cols, int64_t offset, unsigned seed) {
    const size_t bytes = size_t(rows * cols) * size_of(dtype), before = size_t(offset) * size_of(dtype);
    if (posix_memalign(&raw, 256, before + bytes) != 0) std::abort();
    view.data = static_cast<char*>(raw) + before;
    view.dtype = dtype;
    view.rank = 2;
    view.shape = {rows, cols};
    view.stride = {cols, 1};
    for (int64_t i = 0; i < rows * cols; ++i) {
      seed = seed * 1664525u + 1013904223u;
      set(i, float(int(seed >> 24) % 9 - 4));
    }
  }
  ~Matrix() { std::free(raw); }
  Matrix(const Matrix&) = delete;

  float get(int64_t i) const {
    if (view.dtype == DType::f32) return view.as<float>()[i];
    const uint32_t word = uint32_t(view.as<uint16_t>()[i]) << 16;
    float value;
    std::memcpy(&value, &word, 4);
    return value;
  }
  void set(int64_t i, float value) {
    uint32_t word;
    std::memcpy(&word, &value, 4);
    if (view.dtype == DType::f32) {
      view.as<float>()[i] = value;
    } else {
      view.as<uint16_t>()[i] = uint16_t((word + 0x7fff + ((word >> 16) & 1)) >> 16);
    }
  }

  void* raw = nullptr;
};

}  // namespace nextpatch
