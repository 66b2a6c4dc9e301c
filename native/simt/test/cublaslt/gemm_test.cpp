// gemm_cublaslt.cpp on the fake cuBLASLt beside it: several hundred products of small whole numbers, which are exact,
// against plain loops. Run as: NEXTPATCH_CUBLAS=<the fake> cublaslt_test
#include <cstdio>
#include <cstdlib>
#include <vector>

#include "../../../core/error.h"
#include "../../../cuda/gemm.h"
#include "matrix.h"
#include "products_test.h"

using namespace nextpatch;

namespace {

int products = 0, wrong = 0;

void product(cuda::Gemm& gemm, const cuda::Lane& lane, DType in, DType out, bool transpose_a, bool transpose_b,
             bool accumulate, int64_t offset, int64_t m, int64_t n, int64_t k) {
  Matrix a(in, transpose_a ? k : m, transpose_a ? m : k, offset, 1);
  Matrix b(in, transpose_b ? n : k, transpose_b ? k : n, 2 * offset, 2);
  Matrix c(out, m, n, offset, 3), expected(out, m, n, 0, 3);
  for (int64_t i = 0; i < m; ++i)
    for (int64_t j = 0; j < n; ++j) {
      float sum = accumulate ? c.get(i * n + j) : 0;
      for (int64_t l = 0; l < k; ++l)
        sum += a.get(transpose_a ? l * m + i : i * k + l) * b.get(transpose_b ? j * k + l : l * n + j);
      expected.set(i * n + j, sum);
    }
  gemm.matmul(lane, c.view, a.view, b.view, transpose_a, transpose_b, accumulate);
  ++products;
  for (int64_t i = 0; i < m * n; ++i)
    if (c.get(i) != expected.get(i)) {
      std::printf("[%d, %d, %d] transposed %d %d, accumulate %d, offset %d: element %d is %g, expected %g\n", int(m),
                  int(n), int(k), transpose_a, transpose_b, accumulate, int(offset), int(i), double(c.get(i)),
                  double(expected.get(i)));
      ++wrong;
      return;
    }
}

void all_products() {
  const auto gemm = cuda::make_gemm();
  std::vector<char> workspace(gemm->workspace_bytes());
  const cuda::Lane lane{nullptr, workspace.data()};
  const int64_t shapes[][3] = {{5, 7, 3}, {1, 33, 16}, {24, 16, 40}, {64, 1, 9}, {8, 8, 8}};
  for (const DType in : {DType::f32, DType::bf16})
    for (const DType out : {DType::f32, DType::bf16}) {
      if (in == DType::f32 && out != in) continue;
      for (int which = 0; which < 8; ++which)
        for (const int64_t offset : {0, 1, 8, 64})
          for (const auto& [m, n, k] : shapes)
            product(*gemm, lane, in, out, which & 1, which & 2, which & 4, offset, m, n, k);
    }
}

}  // namespace

int main() {
  try {
    all_products();
    wrong += wrong_algorithms();
    setenv("FAKE_CUBLASLT_ANY_REDUCTION", "1", 1);
    all_products();
  } catch (const Error& error) {
    std::printf("FAIL %s\n", error.what());
    return 1;
  }
  std::printf("%s %d products on the fake cuBLASLt, %d wrong\n", wrong ? "FAIL" : "ok  ", products, wrong);
  return wrong ? 1 : 0;
}
