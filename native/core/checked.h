// Products and sums of sizes that callers choose: one that 64 bits do not hold is an error, not another number.
#pragma once

#include <cstdint>
#include <initializer_list>

#include "error.h"

namespace nextpatch {

[[noreturn]] inline void refuse_size() {
  throw Error(ErrorKind::range, "expected a size of less than 2^63 elements but received a larger one");
}

// Throws an Error of kind range if the product is no int64_t.
inline int64_t product_of(std::initializer_list<int64_t> sizes) {
  int64_t product = 1;
  for (const int64_t size : sizes)
    if (__builtin_mul_overflow(product, size, &product)) refuse_size();
  return product;
}

// Throws an Error of kind range if the sum is no int64_t.
inline int64_t sum_of(std::initializer_list<int64_t> sizes) {
  int64_t sum = 0;
  for (const int64_t size : sizes)
    if (__builtin_add_overflow(sum, size, &sum)) refuse_size();
  return sum;
}

}  // namespace nextpatch
