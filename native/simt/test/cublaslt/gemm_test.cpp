// gemm_cublaslt.cpp on the fake cuBLASLt beside it: several hundred products of small whole numbers, which are exact,
// against plain loops. Run as: NEXTPATCH_CUBLAS=<the fake> cublaslt_test
#include <cstdio>
#include <cstdlib>
#include <vector>

#include "../../../cuda/gemm.h"
#include "../check.h"
#include "matrix.h"
#include "products_test.h"

using namespace nextpatch;

namespace {

int products = 0;

// Where the operands and the result begin.
struct Offsets {
  int64_t a, b, c;
};

void product(cuda::Gemm& gemm, DType in, DType out, bool transpose_a, bool transpose_b, bool accumulate,
             const Offsets& at, int64_t m, int64_t n, int64_t k) {
  Matrix a(in, transpose_a ? k : m, transpose_a ? m : k, at.a, 1);
  Matrix b(in, transpose_b ? n : k, transpose_b ? k : n, at.b, 2);
  Matrix c(out, m, n, at.c, 3), expected(out, m, n, 0, 3);
  for (int64_t i = 0; i < m; ++i)
    for (int64_t j = 0; j < n; ++j) {
      float sum = accumulate ? c.get(i * n + j) : 0;
      for (int64_t l = 0; l < k; ++l)
        sum += a.get(transpose_a ? l * m + i : i * k + l) * b.get(transpose_b ? j * k + l : l * n + j);
      expected.set(i * n + j, sum);
    }
  gemm.matmul(c.view, a.view, b.view, transpose_a, transpose_b, accumulate);
  ++products;
  for (int64_t i = 0; i < m * n; ++i)
    if (c.get(i) != expected.get(i)) {
      std::printf("[%d, %d, %d] transposed %d %d, accumulate %d, offsets %d %d %d: element %d is %g, expected %g\n",
                  int(m), int(n), int(k), transpose_a, transpose_b, accumulate, int(at.a), int(at.b), int(at.c), int(i),
                  double(c.get(i)), double(expected.get(i)));
      count_failure();
      return;
    }
}

// A stack of three matrices of a shape.
struct Stack : Matrix {
  Stack(DType dtype, int64_t rows, int64_t cols, int64_t offset, unsigned seed)
      : Matrix(dtype, kCount * rows, cols, offset, seed) {
    view.rank = 3;
    view.shape = {kCount, rows, cols};
    view.stride = {rows * cols, cols, 1};
  }
  static constexpr int64_t kCount = 3;
};

// c = 2 a b - 3 add, or 2 a b: whole numbers, small enough to be exact in bf16 with short sums.
void batched_product(cuda::Gemm& gemm, DType type, bool transpose_a, bool transpose_b, bool adds, const Offsets& at,
                     int64_t m, int64_t n, int64_t k) {
  Stack a(type, transpose_a ? k : m, transpose_a ? m : k, at.a, 1);
  Stack b(type, transpose_b ? n : k, transpose_b ? k : n, at.b, 2);
  Stack c(type, m, n, at.c, 3), add(type, m, n, at.c, 4), expected(type, m, n, 0, 3);
  for (int64_t matrix = 0; matrix < Stack::kCount; ++matrix)
    for (int64_t i = 0; i < m; ++i)
      for (int64_t j = 0; j < n; ++j) {
        const int64_t to = (matrix * m + i) * n + j;
        float sum = 0;
        for (int64_t l = 0; l < k; ++l)
          sum += a.get(matrix * m * k + (transpose_a ? l * m + i : i * k + l)) *
                 b.get(matrix * k * n + (transpose_b ? j * k + l : l * n + j));
        expected.set(to, 2 * sum - (adds ? 3 * add.get(to) : 0));
      }
  gemm.batched_matmul(c.view, a.view, b.view, adds ? add.view : View{}, transpose_a, transpose_b, 2, -3);
  ++products;
  for (int64_t i = 0; i < c.view.size(); ++i)
    if (c.get(i) != expected.get(i)) {
      std::printf("3 of [%d, %d, %d] transposed %d %d, adds %d: element %d is %g, expected %g\n", int(m), int(n),
                  int(k), transpose_a, transpose_b, adds, int(i), double(c.get(i)), double(expected.get(i)));
      count_failure();
      return;
    }
}

void all_products() {
  const auto gemm = cuda::make_gemm(cuda::Device());
  std::vector<char> workspace(gemm->workspace_bytes());
  gemm->use_workspace(workspace.data());
  // Two with the same result, but sums of different lengths.
  const int64_t shapes[][3] = {{5, 7, 3}, {5, 7, 16}, {1, 33, 16}, {24, 16, 40}, {64, 1, 9}, {8, 8, 8}};
  // Each of the three is once the least aligned, and the result once alone.
  const Offsets offsets[] = {{0, 0, 0},  {0, 0, 1}, {1, 64, 8}, {64, 1, 8},
                             {8, 64, 1}, {1, 2, 1}, {8, 16, 8}, {64, 64, 64}};
  for (const DType in : {DType::f32, DType::bf16})
    for (const DType out : {DType::f32, DType::bf16}) {
      if (in == DType::f32 && out != in) continue;
      for (int which = 0; which < 8; ++which)
        for (const Offsets& at : offsets)
          for (const auto& [m, n, k] : shapes) {
            product(*gemm, in, out, which & 1, which & 2, which & 4, at, m, n, k);
            if (in == out) batched_product(*gemm, in, which & 1, which & 2, which & 4, at, m, n, k);
          }
    }
}

}  // namespace

int main() {
  try {
    all_products();
    test_algorithms();
    setenv("FAKE_CUBLASLT_ANY_REDUCTION", "1", 1);
    all_products();
  } catch (const Error& error) {
    std::printf("FAIL %s\n", error.what());
    return 1;
  }
  const int wrong = failures();
  std::printf("%s %d products on the fake cuBLASLt, %d wrong\n", wrong ? "FAIL" : "ok  ", products, wrong);
  return wrong ? 1 : 0;
}
