// A tensor as a kernel sees it: a pointer, a dtype, a shape and strides. Owns nothing.
#pragma once

#include <array>
#include <cstdint>

#include "dtype.h"
#include "limits.h"

namespace nextpatch {

struct View {
  void* data = nullptr;
  DType dtype = DType::f32;
  int rank = 0;
  std::array<int64_t, kMaxRank> shape{};
  std::array<int64_t, kMaxRank> stride{};  // in elements

  // False for an optional argument that was left out.
  explicit operator bool() const { return data != nullptr; }

  int64_t size() const {
    int64_t n = 1;
    for (int i = 0; i < rank; ++i) n *= shape[i];
    return n;
  }
  int64_t dim(int i) const { return shape[i < 0 ? rank + i : i]; }
  int64_t cols() const { return rank == 0 ? 1 : shape[rank - 1]; }
  int64_t rows() const { return cols() == 0 ? 0 : size() / cols(); }

  bool contiguous() const {
    int64_t expected = 1;
    for (int i = rank - 1; i >= 0; --i) {
      if (shape[i] != 1 && stride[i] != expected) return false;
      expected *= shape[i];
    }
    return true;
  }

  template <typename T>
  T* as() const {
    return static_cast<T*>(data);
  }
};

// Matrix i of a contiguous stack [L, rows, cols].
inline View matrix_of(const View& stack, int64_t i) {
  View matrix = stack;
  matrix.data = static_cast<char*>(stack.data) + i * stack.dim(1) * stack.dim(2) * int64_t(size_of(stack.dtype));
  matrix.rank = 2;
  matrix.shape = {stack.dim(1), stack.dim(2)};
  matrix.stride = {stack.dim(2), 1};
  return matrix;
}

}  // namespace nextpatch
