#include "include/simt/math.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

namespace nextpatch::simt {
namespace {

bool chosen() {
  const char* const text = std::getenv("NEXTPATCH_SIMT_MATH");
  const std::string mode = text && *text ? text : "exact";
  if (mode == "exact") return false;
  if (mode == "hardware") return true;
  std::fprintf(stderr, "NEXTPATCH_SIMT_MATH: expected exact or hardware but received %s\n", text);
  std::abort();
}

uint32_t bits_of(float value) {
  uint32_t bits;
  std::memcpy(&bits, &value, sizeof bits);
  return bits;
}

float from_bits(uint32_t bits) {
  float value;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

// The finaliser of MurmurHash3: neighbouring arguments get unrelated errors.
uint32_t mixed(uint32_t bits) {
  bits ^= bits >> 16;
  bits *= 0x85ebca6bu;
  bits ^= bits >> 13;
  bits *= 0xc2b2ae35u;
  return bits ^ bits >> 16;
}

}  // namespace

bool hardware_math() {
  static const bool loose = chosen();
  return loose;
}

float approximate(float exact, float x, int ulps) {
  // Zeros, infinities and NaN come out as they are, and so does 1: 2^0 is exact on every GPU.
  if (!hardware_math() || !(std::fabs(exact) < 3e38f) || exact == 0 || exact == 1) return exact;
  const int off = int(mixed(bits_of(x)) % uint32_t(2 * ulps + 1)) - ulps;
  return from_bits(bits_of(exact) + uint32_t(off));
}

float truncated_sum(float addend, const double* products, int count) {
  double largest = std::fabs(double(addend));
  double plain = addend;
  for (int i = 0; i < count; ++i) {
    largest = std::max(largest, std::fabs(products[i]));
    plain += products[i];
  }
  if (largest == 0 || !std::isfinite(plain)) return float(plain);
  int exponent = 0;
  std::frexp(largest, &exponent);
  const double unit = std::ldexp(1.0, exponent - 24);
  double sum = std::trunc(addend / unit) * unit;
  for (int i = 0; i < count; ++i) sum += std::trunc(products[i] / unit) * unit;
  const float rounded = float(sum);
  return std::fabs(double(rounded)) > std::fabs(sum) ? std::nextafter(rounded, 0.0f) : rounded;
}

}  // namespace nextpatch::simt
