// The bias of a linear layer, and its gradient: the sums of columns.
#include <algorithm>

#include "../core/checked.h"
#include "cpu_kernels.h"
#include "lanes.h"
#include "parallel.h"
#include "partials.h"

namespace nextpatch::cpu {
namespace {

// Rows that are summed together. The blocks are fixed, so the sums do not depend on threads.
constexpr int64_t kRowBlock = 64;

}  // namespace

void CpuKernels::bias_forward(const View& x, const View& bias) {
  const int64_t cols = x.cols();
  with_type(x.dtype, [&](auto type) {
    using T = decltype(type);
    const T* more = bias.as<T>();
    parallel_for(x.rows(), cols, [&](int64_t row) {
      T* at = x.as<T>() + row * cols;
      for_lanes(cols,
                [=](int64_t i, auto lanes) { store(at + i, load(at + i, lanes) + load(more + i, lanes), lanes); });
    });
  });
}

void CpuKernels::bias_backward(const View& dbias, const View& dout, const View& workspace) {
  const int64_t rows = dout.rows(), cols = dout.cols(), blocks = (rows + kRowBlock - 1) / kRowBlock;
  float* const partial = workspace.as<float>();
  with_type(dout.dtype, [&](auto type) {
    using T = decltype(type);
    parallel_for(blocks, kRowBlock * cols, [&](int64_t block) {
      float* const sums = partial + block * cols;
      std::fill(sums, sums + cols, 0.0f);
      for (int64_t row = block * kRowBlock; row < std::min(rows, (block + 1) * kRowBlock); ++row) {
        const T* from = dout.as<T>() + row * cols;
        for_lanes(cols, [=](int64_t i, auto lanes) {
          store(sums + i, load(sums + i, lanes) + load(from + i, lanes), lanes);
        });
      }
    });
  });
  add_partials(dbias.as<float>(), partial, blocks, cols);
}

int64_t CpuKernels::bias_backward_workspace(int64_t rows, int64_t cols) const {
  return product_of({(rows + kRowBlock - 1) / kRowBlock, cols});
}

}  // namespace nextpatch::cpu
