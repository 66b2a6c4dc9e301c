// The host implementation of the cuBLASLt products: plain loops over blocks, summed in f32, bitwise reproducible. Under
// NEXTPATCH_SIMT_MATH=hardware the inner dimension is walked in another order, as no library promises one. With
// imitated_products.h there are several algorithms.
#include "../cuda/gemm.h"

#include <cuda_bf16.h>

#include <algorithm>
#include <atomic>
#include <numeric>
#include <vector>

#include "../core/error.h"
#include "../cuda/check.h"
#include "../cuda/product_key.h"
#include "imitated_products.h"

namespace nextpatch::cuda {
namespace {

// in[rows, cols], or its transpose, as f32.
std::vector<float> widened(const View& in, bool transposed) {
  const int64_t rows = in.dim(0), cols = in.dim(1);
  std::vector<float> out(size_t(rows * cols));
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t c = 0; c < cols; ++c) {
      const int64_t i = r * cols + c;
      const float value = in.dtype == DType::bf16 ? float(in.as<__nv_bfloat16>()[i]) : in.as<float>()[i];
      out[size_t(transposed ? c * rows + r : i)] = value;
    }
  }
  return out;
}

// left[rows, inner] right[inner, cols]
std::vector<float> multiply(const std::vector<float>& left, const std::vector<float>& right, int64_t rows, int64_t cols,
                            int64_t inner, bool shuffled) {
  constexpr int64_t kBlock = 128;  // rows of the right factor that stay in the cache
  // A step that shares no factor with the length comes by every term once.
  int64_t step = 1;
  if (shuffled)
    for (step = inner / 3 * 2 + 1; std::gcd(step, inner) != 1;) ++step;
  std::vector<float> sums(size_t(rows * cols));
  for (int64_t first = 0; first < inner; first += kBlock) {
    const int64_t last = std::min(inner, first + kBlock);
    for (int64_t r = 0; r < rows; ++r) {
      float* const sum = &sums[size_t(r * cols)];
      for (int64_t at = first; at < last; ++at) {
        const int64_t k = step == 1 ? at : at * step % inner;
        const float factor = left[size_t(r * inner + k)];
        const float* const row = &right[size_t(k * cols)];
        for (int64_t i = 0; i < cols; ++i) sum[i] += factor * row[i];
      }
    }
  }
  return sums;
}

// c = alpha * sums + beta * add
void store(const View& c, const std::vector<float>& sums, const View& add, float alpha, float beta) {
  for (int64_t i = 0; i < c.size(); ++i) {
    if (c.dtype == DType::f32) {
      c.as<float>()[i] = (beta != 0 ? beta * add.as<float>()[i] : 0) + alpha * sums[size_t(i)];
    } else {
      const float before = beta != 0 ? beta * float(add.as<__nv_bfloat16>()[i]) : 0;
      c.as<__nv_bfloat16>()[i] = __nv_bfloat16(before + alpha * sums[size_t(i)]);
    }
  }
}

void compute(const View& c, const View& a, const View& b, bool transpose_a, bool transpose_b, bool accumulate,
             const simt::Way& way) {
  static std::atomic<bool> odd{false};
  const bool shuffled = (way.shuffled || (way.unsteady && (odd = !odd))) != simt::hardware_math();
  const std::vector<float> left = widened(a, transpose_a), right = widened(b, transpose_b);
  const int64_t inner = transpose_a ? a.dim(0) : a.dim(1);
  std::vector<float> sums;
  for (int i = 0; i < way.times; ++i) sums = multiply(left, right, c.dim(0), c.dim(1), inner, shuffled);
  store(c, sums, c, 1, accumulate ? 1 : 0);
}

class HostGemm final : public Gemm {
 public:
  explicit HostGemm(cudaStream_t stream) : stream_(stream) {}

  void matmul(const View& c, const View& a, const View& b, bool transpose_a, bool transpose_b,
              bool accumulate) override {
    simt::Way way;
    if (products_) way = products_->next(product_of(c, a, b, transpose_a, transpose_b), accumulate);
    check(simt::enqueue(stream_,
                        [=] {
                          compute(c, a, b, transpose_a, transpose_b, accumulate, way);
                          return cudaSuccess;
                        }),
          "matmul");
  }

  void batched_matmul(const View& c, const View& a, const View& b, const View& add, bool transpose_a, bool transpose_b,
                      float alpha, float beta) override {
    const auto matrix = [=] {
      for (int64_t i = 0; i < c.dim(0); ++i) {
        const View to = matrix_of(c, i);
        const int64_t inner = a.dim(transpose_a ? 1 : 2);
        const std::vector<float> sums =
            multiply(widened(matrix_of(a, i), transpose_a), widened(matrix_of(b, i), transpose_b), to.dim(0), to.dim(1),
                     inner, simt::hardware_math());
        store(to, sums, add ? matrix_of(add, i) : to, alpha, add ? beta : 0);
      }
      return cudaSuccess;
    };
    check(simt::enqueue(stream_, matrix), "batched_matmul");
  }

  size_t workspace_bytes() const override { return 0; }
  void use_workspace(void*) override {}
  Products* products() override { return products_.get(); }

 private:
  cudaStream_t stream_;
  std::unique_ptr<simt::ImitatedProducts> products_ = simt::ImitatedProducts::make();
};

}  // namespace

std::unique_ptr<Gemm> make_gemm(const Device& device) { return std::make_unique<HostGemm>(device.stream); }

std::pair<std::string, std::string> gemm_version() { return {"matrix products", "host loops"}; }

}  // namespace nextpatch::cuda
