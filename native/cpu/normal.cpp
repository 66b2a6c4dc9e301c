// Normally distributed values: the Box-Muller transform of Philox words.
#include <algorithm>
#include <cmath>

#include "../core/philox.h"
#include "cpu_kernels.h"
#include "parallel.h"

namespace nextpatch::cpu {
namespace {

// The four values at `counter`: words 0 and 1 give the first two, words 2 and 3 the others.
void four_normals(float out[4], uint64_t seed, uint64_t counter) {
  const PhiloxWords words = philox(seed, counter);
  for (int pair = 0; pair < 4; pair += 2) {
    const float radius = std::sqrt(-2 * std::log(philox_uniform_positive(words.word[pair])));
    const float angle = 6.283185307179586f * philox_uniform_positive(words.word[pair + 1]);
    out[pair] = radius * std::cos(angle);
    out[pair + 1] = radius * std::sin(angle);
  }
}

}  // namespace

void CpuKernels::normal(const View& out, float std, uint64_t seed, uint64_t offset) {
  float* p = out.as<float>();
  parallel_blocks(out.size(), [=](int64_t begin, int64_t end) {
    float values[4];
    for (int64_t i = begin; i < end;) {
      const uint64_t element = offset + uint64_t(i);
      four_normals(values, seed, element / 4);
      for (uint64_t lane = element % 4; lane < 4 && i < end; ++lane) p[i++] = std * values[lane];
    }
  });
}

}  // namespace nextpatch::cpu
