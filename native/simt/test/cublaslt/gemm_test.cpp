// gemm_cublaslt.cpp on the fake cuBLASLt beside it: several hundred products of small whole numbers, which are exact,
// against plain loops. Run as: NEXTPATCH_CUBLAS=<the fake> cublaslt_test
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "../../../core/error.h"
#include "../../../cuda/gemm.h"

using namespace nextpatch;

namespace {

// A matrix that begins `offset` elements behind an address that is a multiple of 256, and ends with its memory, so that
// AddressSanitizer sees the first byte behind it.
struct Matrix {
  View view;

  Matrix(DType dtype, int64_t rows, int64_t cols, int64_t offset, unsigned seed) {
    const size_t bytes = size_t(rows * cols) * size_of(dtype), before = size_t(offset) * size_of(dtype);
    if (posix_memalign(&raw, 256, before + bytes) != 0) std::abort();
    view.data = static_cast<char*>(raw) + before;
    view.dtype = dtype;
    view.rank = 2;
    view.shape = {rows, cols};
    view.stride = {cols, 1};
    for (int64_t i = 0; i < rows * cols; ++i) {
      seed = seed * 1664525u + 1013904223u;
      set(i, float(int(seed >> 24) % 9 - 4));
    }
  }
  ~Matrix() { std::free(raw); }
  Matrix(const Matrix&) = delete;

  float get(int64_t i) const {
    if (view.dtype == DType::f32) return view.as<float>()[i];
    const uint32_t word = uint32_t(view.as<uint16_t>()[i]) << 16;
    float value;
    std::memcpy(&value, &word, 4);
    return value;
  }
  void set(int64_t i, float value) {
    uint32_t word;
    std::memcpy(&word, &value, 4);
    if (view.dtype == DType::f32) {
      view.as<float>()[i] = value;
    } else {
      view.as<uint16_t>()[i] = uint16_t((word + 0x7fff + ((word >> 16) & 1)) >> 16);
    }
  }

  void* raw = nullptr;
};

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

// The fake's heuristic has eight results, of which the first does not run.
void candidates() {
  for (const char* const number : {"0", "6", "7"}) {
    setenv("NEXTPATCH_CUBLAS_CANDIDATE", number, 1);
    setenv("FAKE_CUBLASLT_RANK", std::to_string(std::atoi(number) + 1).c_str(), 1);
    bool refused = false;
    try {
      all_products();
    } catch (const Error& error) {
      refused = std::string(error.what()) ==
                "matmul: cuBLASLt has 7 algorithms for this shape, NEXTPATCH_CUBLAS_CANDIDATE is 7";
      if (!refused) throw;
    }
    if (refused != (std::string(number) == "7")) {
      std::printf("candidate %s: %s\n", number, refused ? "refused" : "not refused");
      ++wrong;
    }
  }
  unsetenv("NEXTPATCH_CUBLAS_CANDIDATE");
  unsetenv("FAKE_CUBLASLT_RANK");
}

}  // namespace

int main() {
  try {
    all_products();
    candidates();
    setenv("FAKE_CUBLASLT_ANY_REDUCTION", "1", 1);
    all_products();
  } catch (const Error& error) {
    std::printf("FAIL %s\n", error.what());
    return 1;
  }
  std::printf("%s %d products on the fake cuBLASLt, %d wrong\n", wrong ? "FAIL" : "ok  ", products, wrong);
  return wrong ? 1 : 0;
}
