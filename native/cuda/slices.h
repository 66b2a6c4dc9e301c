// Sums over rows that many blocks share: each block sums its rows into a slice of its own, and then the slices are
// added in a fixed order.
#pragma once

#include <cstdint>

#include "cuda_kernels.h"

namespace nextpatch::cuda {

// The most slices: 4 for each of 132 multiprocessors.
constexpr int64_t kSlices = 528;

// out[cols] += the sum of slices[count, cols].
void add_slices(const Device& device, const char* operation, float* out, const float* slices, int64_t cols,
                unsigned count);

}  // namespace nextpatch::cuda
