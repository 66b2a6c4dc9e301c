// What is not a number, or not a finite one, looked at as bits: the exponent's are all set.
#include <atomic>
#include <cstring>
#include <limits>

#include "cpu_kernels.h"
#include "parallel.h"

namespace nextpatch::cpu {
namespace {

// Bits is the unsigned integer of the element's size; its exponent's bits are `exponent`.
template <typename Bits>
int64_t first_in(const Bits* bits, int64_t begin, int64_t end, Bits exponent) {
  Bits found = 0;
  for (int64_t i = begin; i < end; ++i) found |= Bits((bits[i] & exponent) == exponent);
  if (found == 0) return end;
  while ((bits[begin] & exponent) != exponent) ++begin;
  return begin;
}

template <typename Bits>
int64_t first_of(const Bits* bits, int64_t size, Bits exponent) {
  std::atomic<int64_t> first{size};
  parallel_blocks(size, [&](int64_t begin, int64_t end) {
    const int64_t found = first_in(bits, begin, end, exponent);
    if (found == end) return;
    int64_t before = first.load();
    while (found < before && !first.compare_exchange_weak(before, found)) {
    }
  });
  return first.load();
}

}  // namespace

void CpuKernels::first_non_finite(const View& out, const View& in) {
  *out.as<int>() = int(in.dtype == DType::bf16 ? first_of<uint16_t>(in.as<uint16_t>(), in.size(), 0x7f80)
                                               : first_of<uint32_t>(in.as<uint32_t>(), in.size(), 0x7f800000));
}

void CpuKernels::guard_norm(const View& measured, const View& norm, const View& loss, const View& limits) {
  float* const n = norm.as<float>();
  *measured.as<float>() = *n;
  if (*loss.as<float>() > limits.as<float>()[0] || *n > limits.as<float>()[1])
    *n = std::numeric_limits<float>::quiet_NaN();
}

}  // namespace nextpatch::cpu
