// The labels of next-patch prediction and the weight of each in the loss.
#include <algorithm>

#include "cpu_kernels.h"
#include "labels.h"
#include "parallel.h"

namespace nextpatch::cpu {

void CpuKernels::patch_labels(const View& labels, const View& tokens, int64_t positions) {
  const int64_t size = labels.cols();
  int32_t* out = labels.as<int32_t>();
  const int32_t* in = tokens.as<int32_t>();
  parallel_for(labels.rows(), size, [=](int64_t row) {
    int32_t* to = out + row * size;
    if (row % positions == positions - 1) {
      std::fill(to, to + size, kIgnoredLabel);
    } else {
      std::copy(in + (row + 1) * size, in + (row + 2) * size, to);
    }
  });
}

void CpuKernels::label_coefficients(const View& coefficients, const View& labels, const View& weights) {
  const int64_t rows = labels.rows(), size = labels.cols();
  const int32_t* ids = labels.as<int32_t>();
  // Offsets counted together: enough to read a row at once for the usual patch sizes.
  constexpr int64_t kGroup = 16;
  for (int64_t first = 0; first < size; first += kGroup) {
    const int64_t group = std::min(kGroup, size - first);
    int64_t counts[kGroup] = {};
    for (int64_t row = 0; row < rows; ++row)
      for (int64_t j = 0; j < group; ++j) counts[j] += ids[row * size + first + j] != kIgnoredLabel;
    const float* from = weights.as<float>() + first;
    float* to = coefficients.as<float>() + first;
    for (int64_t j = 0; j < group; ++j) to[j] = counts[j] == 0 ? 0 : from[j] / float(counts[j]);
  }
}

}  // namespace nextpatch::cpu
