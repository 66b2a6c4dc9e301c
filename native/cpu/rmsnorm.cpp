// RMSNorm with the residual added before it or behind it. A row is read from memory once: after the statistic it is
// still in the L1 cache.
#include <algorithm>

#include "../core/checked.h"
#include "cpu_kernels.h"
#include "lanes.h"
#include "parallel.h"
#include "partials.h"

namespace nextpatch::cpu {
namespace {

// Rows whose weight gradients are summed together. The blocks are fixed, so the sums do not depend on threads.
constexpr int64_t kRowBlock = 64;

template <typename T>
void forward(const View& out, const View& sum, const View& rstd, const View& x, const View& add, const View& weight,
             const View& residual, float epsilon, float weight_offset) {
  const int64_t cols = x.cols();
  const T* w = weight.as<T>();
  parallel_for(x.rows(), cols * 4, [&](int64_t row) {
    const T* from = x.as<T>() + row * cols;
    Vec squares;
    if (add) {
      T* total = sum.as<T>() + row * cols;
      const T* more = add.as<T>() + row * cols;
      squares = sum_lanes(cols, [=](int64_t i, auto lanes) {
        store(total + i, load(from + i, lanes) + load(more + i, lanes), lanes);
        const Vec rounded = load(total + i, lanes);
        return rounded * rounded;
      });
      from = total;
    } else {
      squares = sum_lanes(cols, [=](int64_t i, auto lanes) {
        const Vec value = load(from + i, lanes);
        return value * value;
      });
    }
    const float r = 1.0f / std::sqrt(reduce_add(squares) / float(cols) + epsilon);
    rstd.as<float>()[row] = r;
    T* to = out.as<T>() + row * cols;
    const auto normed = [=](int64_t i, auto lanes) {
      return load(from + i, lanes) * r * (load(w + i, lanes) + weight_offset);
    };
    if (residual) {
      const T* stream = residual.as<T>() + row * cols;
      for_lanes(cols, [=](int64_t i, auto lanes) { store(to + i, load(stream + i, lanes) + normed(i, lanes), lanes); });
    } else {
      for_lanes(cols, [=](int64_t i, auto lanes) { store(to + i, normed(i, lanes), lanes); });
    }
  });
}

template <typename T, bool accumulate>
void backward_row(T* dx, float* dweight, const T* dout, const T* sum, const T* weight, float weight_offset, float rstd,
                  int64_t cols) {
  const Vec dot = sum_lanes(cols, [=](int64_t i, auto lanes) {
    return load(dout + i, lanes) * (load(weight + i, lanes) + weight_offset) * load(sum + i, lanes);
  });
  // With y = sum * rstd: dx = rstd * (g - y * mean(g * y)), with g the gradient of y.
  const float shrink = reduce_add(dot) / float(cols) * rstd * rstd;
  for_lanes(cols, [=](int64_t i, auto lanes) {
    const Vec d = load(dout + i, lanes), s = load(sum + i, lanes);
    Vec gradient = (d * (load(weight + i, lanes) + weight_offset) - s * shrink) * rstd;
    if (accumulate) gradient += load(dx + i, lanes);
    store(dx + i, gradient, lanes);
    store(dweight + i, load(dweight + i, lanes) + d * s * rstd, lanes);
  });
}

template <typename T, bool accumulate>
void backward(const View& dx, const View& dout, const View& sum, const View& rstd, const View& weight,
              float weight_offset, float* partial) {
  const int64_t rows = sum.rows(), cols = sum.cols();
  parallel_for((rows + kRowBlock - 1) / kRowBlock, kRowBlock * cols * 4, [&](int64_t block) {
    float* dweight = partial + block * cols;
    std::fill(dweight, dweight + cols, 0.0f);
    const int64_t end = std::min(rows, (block + 1) * kRowBlock);
    for (int64_t row = block * kRowBlock; row < end; ++row)
      backward_row<T, accumulate>(dx.as<T>() + row * cols, dweight, dout.as<T>() + row * cols, sum.as<T>() + row * cols,
                                  weight.as<T>(), weight_offset, rstd.as<float>()[row], cols);
  });
}

}  // namespace

void CpuKernels::rmsnorm_forward(const View& out, const View& sum, const View& rstd, const View& x, const View& add,
                                 const View& weight, float epsilon, float weight_offset) {
  with_type(x.dtype, [&](auto type) {
    forward<decltype(type)>(out, sum, rstd, x, add, weight, View(), epsilon, weight_offset);
  });
}

void CpuKernels::rmsnorm_residual_forward(const View& out, const View& rstd, const View& residual, const View& x,
                                          const View& weight, float epsilon, float weight_offset) {
  with_type(x.dtype, [&](auto type) {
    forward<decltype(type)>(out, View(), rstd, x, View(), weight, residual, epsilon, weight_offset);
  });
}

void CpuKernels::rmsnorm_backward(const View& dx, const View& dweight, const View& dout, const View& sum,
                                  const View& rstd, const View& weight, const View& workspace, bool accumulate,
                                  float weight_offset) {
  float* partial = workspace.as<float>();
  with_type(dx.dtype, [&](auto type) {
    using T = decltype(type);
    accumulate ? backward<T, true>(dx, dout, sum, rstd, weight, weight_offset, partial)
               : backward<T, false>(dx, dout, sum, rstd, weight, weight_offset, partial);
  });
  const int64_t cols = sum.cols(), blocks = (sum.rows() + kRowBlock - 1) / kRowBlock;
  add_partials(dweight.as<float>(), partial, blocks, cols);
}

int64_t CpuKernels::rmsnorm_backward_workspace(int64_t rows, int64_t cols) const {
  return product_of({(rows + kRowBlock - 1) / kRowBlock, cols});
}

}  // namespace nextpatch::cpu
