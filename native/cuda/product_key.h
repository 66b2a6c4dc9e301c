// Products of views: what they are to the table of algorithms, and how messages call them.
#pragma once

#include <algorithm>
#include <string>

#include "../core/products.h"
#include "../core/view.h"

namespace nextpatch::cuda {

// The largest power of two up to 256 that divides the address: the alignment that an algorithm may rely on.
inline uint32_t alignment_of(const void* data) {
  const uintptr_t address = reinterpret_cast<uintptr_t>(data) | 256;
  return uint32_t(address & (~address + 1));
}

inline Product product_of(const View& c, const View& a, const View& b, bool transpose_a, bool transpose_b) {
  Product product;
  product.m = c.dim(0);
  product.n = c.dim(1);
  product.k = transpose_a ? a.dim(0) : a.dim(1);
  product.transpose_a = transpose_a;
  product.transpose_b = transpose_b;
  product.inputs = a.dtype;
  product.output = c.dtype;
  product.align_a = alignment_of(a.data);
  product.align_b = alignment_of(b.data);
  product.align_c = alignment_of(c.data);
  return product;
}

// The product of each matrix of a stack: all of them are aligned alike. `add` and c have to be, too.
inline Product product_of_each(const View& c, const View& a, const View& b, const View& add, bool transpose_a,
                               bool transpose_b) {
  const auto stack_alignment = [](const View& stack) {
    const View second = matrix_of(stack, 1);
    return std::min(alignment_of(stack.data), alignment_of(second.data));
  };
  Product product = product_of(matrix_of(c, 0), matrix_of(a, 0), matrix_of(b, 0), transpose_a, transpose_b);
  product.align_a = stack_alignment(a);
  product.align_b = stack_alignment(b);
  product.align_c = add ? std::min(stack_alignment(c), stack_alignment(add)) : stack_alignment(c);
  return product;
}

// "TN [1024, 5504] over 32768, bf16 to f32"
inline std::string text_of(const Product& product) {
  const auto letter = [](bool transposed) { return transposed ? "T" : "N"; };
  return std::string(letter(product.transpose_a)) + letter(product.transpose_b) + " [" + std::to_string(product.m) +
         ", " + std::to_string(product.n) + "] over " + std::to_string(product.k) + ", " + name_of(product.inputs) +
         " to " + name_of(product.output);
}

}  // namespace nextpatch::cuda
