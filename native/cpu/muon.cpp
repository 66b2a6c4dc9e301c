// The elementwise parts of a Muon step (kernels.h): momentum and normalization before the products of Newton-Schulz,
// and the update of the weights behind them. A sum of squares is made of one sum a block, added in order, so the
// result does not depend on the number of threads.
#include <algorithm>
#include <cmath>

#include "cpu_kernels.h"
#include "lanes.h"
#include "parallel.h"

namespace nextpatch::cpu {
namespace {

int64_t blocks_of(int64_t elements) { return (elements + kBlock - 1) / kBlock; }

// f(row, begin, end, index) for the blocks of every row of [rows, cols].
template <typename F>
void for_row_blocks(int64_t rows, int64_t cols, const F& f) {
  const int64_t blocks = blocks_of(cols);
  parallel_for(rows * blocks, kBlock, [&](int64_t index) {
    const int64_t begin = index % blocks * kBlock;
    f(index / blocks, begin, std::min(begin + kBlock, cols), index);
  });
}

// Writes `size` elements of momentum and out. Returns the sum of squares of what it wrote to out.
template <typename T>
float advance(T* out, float* momentum, const float* grad, int64_t size, float mu, float clip, bool nesterov) {
  return reduce_add(sum_lanes(size, [=](int64_t i, auto lanes) {
    const Vec g = load(grad + i, lanes) * clip;
    const Vec m = mu * load(momentum + i, lanes) + (1 - mu) * g;
    store(momentum + i, m, lanes);
    store(out + i, nesterov ? mu * m + (1 - mu) * g : m, lanes);
    const Vec u = load(out + i, lanes);
    return u * u;
  }));
}

}  // namespace

void CpuKernels::muon_momentum(const View& out, const View& momentum, const View& grad, const View& norm,
                               const View& hyper, const View& workspace, bool nesterov) {
  MuonHyper h;
  std::memcpy(&h, hyper.data, sizeof h);
  const float gradient_norm = *norm.as<float>();
  if (!std::isfinite(gradient_norm)) return;
  const float clip = h.max_norm > 0 ? std::min(1.0f, h.max_norm / gradient_norm) : 1.0f;
  const int64_t rows = out.dim(0), cols = out.dim(1), blocks = blocks_of(cols);
  float* const sums = workspace.as<float>();
  with_type(out.dtype, [&](auto type) {
    using T = decltype(type);
    for_row_blocks(rows, cols, [&](int64_t row, int64_t begin, int64_t end, int64_t index) {
      sums[index] = advance(out.as<T>() + row * cols + begin, momentum.as<float>() + row * momentum.stride[0] + begin,
                            grad.as<float>() + row * grad.stride[0] + begin, end - begin, h.momentum, clip, nesterov);
    });
    for (int64_t row = 0; row < rows; ++row) {
      double total = 0;
      for (int64_t block = 0; block < blocks; ++block) total += sums[row * blocks + block];
      sums[row * blocks] = 1 / std::max(float(std::sqrt(total)), kMuonEpsilon);
    }
    for_row_blocks(rows, cols, [&](int64_t row, int64_t begin, int64_t end, int64_t) {
      T* const u = out.as<T>() + row * cols + begin;
      const float factor = sums[row * blocks];
      for_lanes(end - begin, [=](int64_t i, auto lanes) { store(u + i, load(u + i, lanes) * factor, lanes); });
    });
  });
}

int64_t CpuKernels::muon_momentum_workspace(int64_t matrices, int64_t elements) const {
  return matrices * blocks_of(elements);
}

void CpuKernels::muon_update(const View& param, const View& master, const View& update, const View& norm,
                             const View& hyper, float scale) {
  MuonHyper h;
  std::memcpy(&h, hyper.data, sizeof h);
  if (!std::isfinite(*norm.as<float>())) return;
  const float keep = 1 - h.learning_rate * h.weight_decay, step = h.learning_rate * scale;
  const int64_t rows = update.dim(0), cols = update.dim(1);
  with_type(param.dtype, [&](auto type) {
    using T = decltype(type);
    T* const rounded = param.data == master.data ? nullptr : param.as<T>();
    for_row_blocks(rows, cols, [&](int64_t row, int64_t begin, int64_t end, int64_t) {
      float* const weights = master.as<float>() + row * master.stride[0] + begin;
      T* const to = rounded ? rounded + row * param.stride[0] + begin : nullptr;
      const T* const change = update.as<T>() + row * cols + begin;
      for_lanes(end - begin, [=](int64_t i, auto lanes) {
        const Vec weight = load(weights + i, lanes) * keep - step * load(change + i, lanes);
        store(weights + i, weight, lanes);
        if (to != nullptr) store(to + i, weight, lanes);
      });
    });
  });
}

}  // namespace nextpatch::cpu
