// Rotary position embedding in the half-split layout of Hugging Face's Llama: element i of a head is rotated with
// element i + D/2.
#include <cmath>

#include "../core/limits.h"
#include "cpu_kernels.h"
#include "lanes.h"
#include "parallel.h"

namespace nextpatch::cpu {
namespace {

constexpr int kMaxHalf = kMaxHeadDim / 2;

template <typename T>
void rotate(const View& x, const View& table, int64_t offset, bool inverse) {
  const int64_t positions = x.shape[1], heads = x.shape[2], half = x.shape[3] / 2;
  parallel_for(x.shape[0] * positions, heads * 2 * half, [&](int64_t row) {
    const int64_t b = row / positions, t = row % positions;
    const float* angles = table.as<float>() + (t + offset) * half * 2;
    // Separate cosines and sines once for all heads of the position.
    float cosine[kMaxHalf], sine[kMaxHalf];
    for (int64_t i = 0; i < half; ++i) {
      cosine[i] = angles[2 * i];
      sine[i] = inverse ? -angles[2 * i + 1] : angles[2 * i + 1];
    }
    T* position = x.as<T>() + b * x.stride[0] + t * x.stride[1];
    for (int64_t h = 0; h < heads; ++h) {
      T* low = position + h * x.stride[2];
      T* high = low + half;
      for_lanes(half, [&](int64_t i, auto lanes) {
        const Vec a = load(low + i, lanes), b = load(high + i, lanes);
        const Vec c = load(cosine + i, lanes), s = load(sine + i, lanes);
        store(low + i, a * c - b * s, lanes);
        store(high + i, b * c + a * s, lanes);
      });
    }
  });
}

}  // namespace

void CpuKernels::rotary_table(const View& table, const View& inverse_frequencies, float scale) {
  const int64_t half = inverse_frequencies.size();
  const float* frequencies = inverse_frequencies.as<float>();
  float* out = table.as<float>();
  parallel_for(table.shape[0], table.shape[1] * 16, [=](int64_t t) {
    for (int64_t i = 0; i < half; ++i) {
      // The product is rounded to f32 first, as in Hugging Face's code, with which checkpoints were trained.
      const float angle = float(t) * frequencies[i];
      out[(t * half + i) * 2] = scale * std::cos(angle);
      out[(t * half + i) * 2 + 1] = scale * std::sin(angle);
    }
  });
}

void CpuKernels::rotary(const View& x, const View& table, int64_t offset, bool inverse) {
  with_type(x.dtype, [&](auto type) { rotate<decltype(type)>(x, table, offset, inverse); });
}

}  // namespace nextpatch::cpu
