// The sizes and ranges that hold on every backend, each declared only here. The binding exports them as
// `limits`, and `npm run limits` writes them into lib/limits.ts for the TypeScript that must work without the addon.
#pragma once

#include <algorithm>
#include <cstdint>
#include <initializer_list>
#include <utility>

namespace nextpatch {

// The head dimensions of attention, ascending.
using HeadDims = std::integer_sequence<int, 16, 32, 48, 64, 80, 96, 128, 256>;

template <int... Dims>
constexpr bool is_one_of(std::integer_sequence<int, Dims...>, int64_t value) {
  return ((value == Dims) || ...);
}

template <int... Dims>
constexpr int largest_of(std::integer_sequence<int, Dims...>) {
  return std::max({Dims...});
}

constexpr int kMaxHeadDim = largest_of(HeadDims{});

// The most dimensions of a tensor.
constexpr int kMaxRank = 4;

// The most elements of a tensor, and the largest size of a dimension.
constexpr int64_t kMaxElements = int64_t(1) << 44;

// The most of what kernels count in 32 bits: a vocabulary, the tokens and the rows of a call, attention's positions and
// heads.
constexpr int64_t kMaxCount = (int64_t(1) << 31) - 1;

// The most labels of a row of logits, so that each fits into a block's shared memory on any GPU.
constexpr int64_t kMaxLabels = 8192;

// The most matrices of a stack that an operation of Muon takes at once.
constexpr int64_t kMaxStack = 65535;

// The largest seed, offset and counter: whole numbers up to it are exact as JavaScript numbers.
constexpr int64_t kMaxWholeNumber = (int64_t(1) << 53) - 1;

// The largest device index, and the most host threads.
constexpr int kMaxDeviceIndex = 4096;
constexpr int kMaxThreads = 4096;

// The number of timestamp slots of a device (Device::mark).
constexpr int kMarks = 4096;

}  // namespace nextpatch
