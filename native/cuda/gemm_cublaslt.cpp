#include <cublasLt.h>

#include <algorithm>
#include <array>
#include <map>
#include <tuple>

#include "../core/error.h"
#include "check.h"
#include "gemm.h"

namespace nextpatch::cuda {
namespace {

// A long sum (a gradient of weights) is split into parts, each of which needs the result's size in f32. It is split if
// the result has too few tiles to keep the GPU busy: four waves of 128x256 tiles on 132 multiprocessors are 66 MiB.
// (With the 32 MiB that cuBLAS recommends, a [5504, 1024] gradient is not split.)
constexpr size_t kWorkspaceBytes = size_t(128) << 20;

void check_blas(cublasStatus_t status, const char* what) {
  if (status == CUBLAS_STATUS_SUCCESS) return;
  throw Error(ErrorKind::device, std::string("matmul: ") + what + " failed: " + cublasLtGetStatusString(status));
}

cudaDataType_t data_type(DType dtype) { return dtype == DType::bf16 ? CUDA_R_16BF : CUDA_R_32F; }

// RAII owners of cuBLASLt's descriptors.
struct Layout {
  cublasLtMatrixLayout_t value = nullptr;
  Layout(DType dtype, int64_t rows, int64_t cols) {
    check_blas(cublasLtMatrixLayoutCreate(&value, data_type(dtype), uint64_t(rows), uint64_t(cols), rows),
               "cublasLtMatrixLayoutCreate");
  }
  ~Layout() { cublasLtMatrixLayoutDestroy(value); }
  Layout(const Layout&) = delete;
};

struct Preference {
  cublasLtMatmulPreference_t value = nullptr;
  Preference() { check_blas(cublasLtMatmulPreferenceCreate(&value), "cublasLtMatmulPreferenceCreate"); }
  ~Preference() { cublasLtMatmulPreferenceDestroy(value); }
  Preference(const Preference&) = delete;

  template <typename T>
  void set(cublasLtMatmulPreferenceAttributes_t attribute, T to) {
    check_blas(cublasLtMatmulPreferenceSetAttribute(value, attribute, &to, sizeof to),
               "cublasLtMatmulPreferenceSetAttribute");
  }
};

// The largest power of two up to 256 that divides the address: the alignment that an algorithm may rely on.
uint32_t alignment_of(const void* data) {
  const uintptr_t address = reinterpret_cast<uintptr_t>(data) | 256;
  return uint32_t(address & (~address + 1));
}

// cuBLAS is column-major, so it sees a row-major matrix as its transpose: c = op(a) op(b) is requested as
// c^T = op(b)^T op(a)^T, with the operands exchanged and no data moved.
struct Plan {
  cublasLtMatmulDesc_t description = nullptr;
  Layout first, second, result;  // b, a, c
  cublasLtMatmulAlgo_t algorithm{};

  Plan(const View& c, const View& a, const View& b, bool transpose_a, bool transpose_b)
      : first(b.dtype, b.dim(1), b.dim(0)), second(a.dtype, a.dim(1), a.dim(0)), result(c.dtype, c.dim(1), c.dim(0)) {
    check_blas(cublasLtMatmulDescCreate(&description, CUBLAS_COMPUTE_32F, CUDA_R_32F), "cublasLtMatmulDescCreate");
    const cublasOperation_t of_first = transpose_b ? CUBLAS_OP_T : CUBLAS_OP_N;
    const cublasOperation_t of_second = transpose_a ? CUBLAS_OP_T : CUBLAS_OP_N;
    set(CUBLASLT_MATMUL_DESC_TRANSA, of_first);
    set(CUBLASLT_MATMUL_DESC_TRANSB, of_second);
  }
  ~Plan() {
    if (description) cublasLtMatmulDescDestroy(description);
  }
  Plan(const Plan&) = delete;

 private:
  void set(cublasLtMatmulDescAttributes_t attribute, cublasOperation_t operation) {
    check_blas(cublasLtMatmulDescSetAttribute(description, attribute, &operation, sizeof operation),
               "cublasLtMatmulDescSetAttribute");
  }
};

class CublasLtGemm final : public Gemm {
 public:
  explicit CublasLtGemm(const Device& device) : stream_(device.stream) {
    check_blas(cublasLtCreate(&handle_), "cublasLtCreate");
  }
  ~CublasLtGemm() override {
    plans_.clear();
    cublasLtDestroy(handle_);
  }

  void matmul(const View& c, const View& a, const View& b, bool transpose_a, bool transpose_b,
              bool accumulate) override {
    if (c.size() == 0) return;
    if (a.size() == 0) {  // an empty sum
      if (!accumulate) check(cudaMemsetAsync(c.data, 0, size_t(c.size()) * size_of(c.dtype), stream_), "matmul");
      return;
    }
    const float alpha = 1, beta = accumulate ? 1 : 0;
    Plan& plan = find(c, a, b, transpose_a, transpose_b);
    check_blas(cublasLtMatmul(handle_, plan.description, &alpha, b.data, plan.first.value, a.data, plan.second.value,
                              &beta, c.data, plan.result.value, c.data, plan.result.value, &plan.algorithm, workspace_,
                              kWorkspaceBytes, stream_),
               "cublasLtMatmul");
  }

  size_t workspace_bytes() const override { return kWorkspaceBytes; }
  void use_workspace(void* data) override { workspace_ = data; }

 private:
  using Key = std::tuple<int64_t, int64_t, int64_t, bool, bool, DType, DType, uint32_t, uint32_t, uint32_t>;

  // The heuristic's first choice that runs, queried once per shape. Algorithms are not timed here: timings would choose
  // between algorithms that add in different orders, and so change the bits of a run.
  Plan& find(const View& c, const View& a, const View& b, bool transpose_a, bool transpose_b) {
    const uint32_t align_a = alignment_of(a.data), align_b = alignment_of(b.data), align_c = alignment_of(c.data);
    const int64_t inner = transpose_a ? a.dim(0) : a.dim(1);
    const Key key{c.dim(0), c.dim(1), inner, transpose_a, transpose_b, a.dtype, c.dtype, align_a, align_b, align_c};
    auto& plan = plans_[key];
    if (plan) return *plan;
    auto made = std::make_unique<Plan>(c, a, b, transpose_a, transpose_b);
    Preference preference;
    preference.set(CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, kWorkspaceBytes);
    preference.set(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, align_b);
    preference.set(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, align_a);
    preference.set(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, align_c);
    preference.set(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, align_c);
    // The parts of a split sum are added in f32, not in the result's bf16, and in a separate step: adding in place is
    // documented as "in sequence", but not in which sequence.
    preference.set(CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK, uint32_t(CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE));
    std::array<cublasLtMatmulHeuristicResult_t, 8> found{};
    int count = 0;
    const cublasStatus_t status = cublasLtMatmulAlgoGetHeuristic(
        handle_, made->description, made->first.value, made->second.value, made->result.value, made->result.value,
        preference.value, int(found.size()), found.data(), &count);
    if (status != CUBLAS_STATUS_NOT_SUPPORTED) check_blas(status, "cublasLtMatmulAlgoGetHeuristic");
    const auto end = found.begin() + (status == CUBLAS_STATUS_SUCCESS ? count : 0);
    const auto best = std::find_if(found.begin(), end, [](const auto& r) { return r.state == CUBLAS_STATUS_SUCCESS; });
    if (best == end) throw Error(ErrorKind::device, "matmul: cuBLASLt has no algorithm for this shape");
    made->algorithm = best->algo;
    plan = std::move(made);
    return *plan;
  }

  cudaStream_t stream_;
  cublasLtHandle_t handle_ = nullptr;
  void* workspace_ = nullptr;
  std::map<Key, std::unique_ptr<Plan>> plans_;
};

}  // namespace

std::unique_ptr<Gemm> make_gemm(const Device& device) { return std::make_unique<CublasLtGemm>(device); }

std::pair<std::string, std::string> gemm_version() {
  const size_t version = cublasLtGetVersion();
  // 130002 is 13.0.2, 120405 is 12.4.5.
  return {"cuBLASLt", std::to_string(version / 10000) + "." + std::to_string(version / 100 % 100) + "." +
                          std::to_string(version % 100)};
}

}  // namespace nextpatch::cuda
