// Sums over whole tensors. A tensor is split into a fixed number of slices whose sums are added in order, so the
// result does not depend on the number of threads.
#include <algorithm>
#include <cmath>

#include "cpu_kernels.h"
#include "lanes.h"
#include "parallel.h"

namespace nextpatch::cpu {
namespace {

constexpr int64_t kSlices = 256;

// The sum of value(x) over in[size]: in f32 within a block, in f64 over the blocks.
template <typename F>
double reduce(const float* in, int64_t size, const F& value) {
  const int64_t blocks = (size + kBlock - 1) / kBlock;
  const int64_t blocks_per_slice = (blocks + kSlices - 1) / kSlices;
  double sums[kSlices] = {};
  parallel_for(kSlices, size / kSlices, [&](int64_t slice) {
    const int64_t last = std::min(blocks, (slice + 1) * blocks_per_slice);
    for (int64_t block = slice * blocks_per_slice; block < last; ++block) {
      const float* from = in + block * kBlock;
      const int64_t count = std::min(kBlock, size - block * kBlock);
      sums[slice] += reduce_add(sum_lanes(count, [&](int64_t i, auto lanes) { return value(load(from + i, lanes)); }));
    }
  });
  double total = 0;
  for (const double sum : sums) total += sum;
  return total;
}

}  // namespace

void CpuKernels::sum(const View& out, const View& in, bool accumulate) {
  const double total = reduce(in.as<float>(), in.size(), [](Vec x) { return x; });
  float* to = out.as<float>();
  *to = float(accumulate ? *to + total : total);
}

void CpuKernels::grad_norm(const View& norm, const View& grad, const View&) {
  *norm.as<float>() = float(std::sqrt(reduce(grad.as<float>(), grad.size(), [](Vec x) { return x * x; })));
}

// The slices' sums fit on the stack.
int64_t CpuKernels::grad_norm_workspace(int64_t) const { return 0; }

}  // namespace nextpatch::cpu
