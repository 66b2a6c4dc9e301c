#include <array>
#include <cstdlib>
#include <map>
#include <tuple>

#include "../core/error.h"
#include "check.h"
#include "cublaslt.h"
#include "gemm.h"

namespace nextpatch::cuda {
namespace {

// A long sum (a gradient of weights) is split into parts, each of which needs the result's size in f32. It is split if
// the result has too few tiles to keep the GPU busy: four waves of 128x256 tiles on 132 multiprocessors are 66 MiB.
// (With the 32 MiB that cuBLAS recommends, a [5504, 1024] gradient is not split.)
constexpr size_t kWorkspaceBytes = size_t(128) << 20;

void check_blas(lt::Status status, const char* what) {
  if (status == lt::kSuccess) return;
  throw Error(ErrorKind::device, std::string("matmul: ") + what + " failed: " + cublaslt().GetStatusString(status));
}

lt::DataType data_type(DType dtype) { return dtype == DType::bf16 ? lt::kBf16 : lt::kF32; }

// RAII owners of cuBLASLt's descriptors.
struct Layout {
  lt::Layout value = nullptr;
  Layout(DType dtype, int64_t rows, int64_t cols) {
    check_blas(cublaslt().MatrixLayoutCreate(&value, data_type(dtype), uint64_t(rows), uint64_t(cols), rows),
               "cublasLtMatrixLayoutCreate");
  }
  ~Layout() { cublaslt().MatrixLayoutDestroy(value); }
  Layout(const Layout&) = delete;
};

struct Preference {
  lt::Preference value = nullptr;
  Preference() { check_blas(cublaslt().MatmulPreferenceCreate(&value), "cublasLtMatmulPreferenceCreate"); }
  ~Preference() { cublaslt().MatmulPreferenceDestroy(value); }
  Preference(const Preference&) = delete;

  template <typename T>
  void set(lt::PreferenceAttribute attribute, T to) {
    check_blas(cublaslt().MatmulPreferenceSetAttribute(value, attribute, &to, sizeof to),
               "cublasLtMatmulPreferenceSetAttribute");
  }
};

// The largest power of two up to 256 that divides the address: the alignment that an algorithm may rely on.
uint32_t alignment_of(const void* data) {
  const uintptr_t address = reinterpret_cast<uintptr_t>(data) | 256;
  return uint32_t(address & (~address + 1));
}

// The heuristic's algorithms are sorted by the time that it expects. NEXTPATCH_CUBLAS_CANDIDATE=N takes the one that N
// others precede, so that all of them can be timed.
size_t wanted_candidate() {
  const char* number = std::getenv("NEXTPATCH_CUBLAS_CANDIDATE");
  return number ? std::strtoul(number, nullptr, 10) : 0;
}

// cuBLAS is column-major, so it sees a row-major matrix as its transpose: c = op(a) op(b) is requested as
// c^T = op(b)^T op(a)^T, with the operands exchanged and no data moved.
struct Plan {
  lt::Description description = nullptr;
  Layout first, second, result;  // b, a, c
  lt::Algorithm algorithm{};

  Plan(const View& c, const View& a, const View& b, bool transpose_a, bool transpose_b)
      : first(b.dtype, b.dim(1), b.dim(0)), second(a.dtype, a.dim(1), a.dim(0)), result(c.dtype, c.dim(1), c.dim(0)) {
    check_blas(cublaslt().MatmulDescCreate(&description, lt::kCompute32F, lt::kF32), "cublasLtMatmulDescCreate");
    const lt::Operation of_first = transpose_b ? lt::kT : lt::kN;
    const lt::Operation of_second = transpose_a ? lt::kT : lt::kN;
    set(lt::kTransposeA, of_first);
    set(lt::kTransposeB, of_second);
  }
  ~Plan() {
    if (description) cublaslt().MatmulDescDestroy(description);
  }
  Plan(const Plan&) = delete;

 private:
  void set(lt::DescriptionAttribute attribute, lt::Operation operation) {
    check_blas(cublaslt().MatmulDescSetAttribute(description, attribute, &operation, sizeof operation),
               "cublasLtMatmulDescSetAttribute");
  }
};

class CublasLtGemm final : public Gemm {
 public:
  CublasLtGemm() { check_blas(cublaslt().Create(&handle_), "cublasLtCreate"); }
  ~CublasLtGemm() override {
    plans_.clear();
    cublaslt().Destroy(handle_);
  }

  void matmul(const Lane& lane, const View& c, const View& a, const View& b, bool transpose_a, bool transpose_b,
              bool accumulate) override {
    if (c.size() == 0) return;
    if (a.size() == 0) {  // an empty sum
      if (!accumulate) check(cudaMemsetAsync(c.data, 0, size_t(c.size()) * size_of(c.dtype), lane.stream), "matmul");
      return;
    }
    const float alpha = 1, beta = accumulate ? 1 : 0;
    Plan& plan = find(c, a, b, transpose_a, transpose_b);
    check_blas(cublaslt().Matmul(handle_, plan.description, &alpha, b.data, plan.first.value, a.data, plan.second.value,
                                 &beta, c.data, plan.result.value, c.data, plan.result.value, &plan.algorithm,
                                 lane.workspace, kWorkspaceBytes, lane.stream),
               "cublasLtMatmul");
  }

  size_t workspace_bytes() const override { return kWorkspaceBytes; }

 private:
  using Key = std::tuple<int64_t, int64_t, int64_t, bool, bool, DType, DType, uint32_t, uint32_t, uint32_t>;

  // The heuristic's choice, queried once per shape. Algorithms are not timed here: timings would choose between
  // algorithms that add in different orders, and so change the bits of a run.
  Plan& find(const View& c, const View& a, const View& b, bool transpose_a, bool transpose_b) {
    const uint32_t align_a = alignment_of(a.data), align_b = alignment_of(b.data), align_c = alignment_of(c.data);
    const int64_t inner = transpose_a ? a.dim(0) : a.dim(1);
    const Key key{c.dim(0), c.dim(1), inner, transpose_a, transpose_b, a.dtype, c.dtype, align_a, align_b, align_c};
    auto& plan = plans_[key];
    if (plan) return *plan;
    auto made = std::make_unique<Plan>(c, a, b, transpose_a, transpose_b);
    Preference preference;
    preference.set(lt::kMaxWorkspaceBytes, uint64_t(kWorkspaceBytes));
    preference.set(lt::kMinAlignmentABytes, align_b);
    preference.set(lt::kMinAlignmentBBytes, align_a);
    preference.set(lt::kMinAlignmentCBytes, align_c);
    preference.set(lt::kMinAlignmentDBytes, align_c);
    // The parts of a split sum are added in f32, not in the result's bf16, and in a separate step: adding in place is
    // documented as "in sequence", but not in which sequence. If that leaves no algorithm, any way will do.
    preference.set(lt::kReductionSchemes, lt::kReduceInComputeType);
    size_t found = choose(*made, preference);
    if (found == 0) {
      preference.set(lt::kReductionSchemes, lt::kReduceInAnyWay);
      found = choose(*made, preference);
    }
    if (found == 0) throw Error(ErrorKind::device, "matmul: cuBLASLt has no algorithm for this shape");
    if (found <= candidate_)
      throw Error(ErrorKind::device, "matmul: cuBLASLt has " + std::to_string(found) +
                                         " algorithms for this shape, NEXTPATCH_CUBLAS_CANDIDATE is " +
                                         std::to_string(candidate_));
    plan = std::move(made);
    return *plan;
  }

  // Gives the plan the wanted one of the heuristic's algorithms that run. Returns how many there are.
  size_t choose(Plan& plan, const Preference& preference) {
    std::array<lt::HeuristicResult, 8> found{};
    int count = 0;
    const lt::Status status = cublaslt().MatmulAlgoGetHeuristic(
        handle_, plan.description, plan.first.value, plan.second.value, plan.result.value, plan.result.value,
        preference.value, int(found.size()), found.data(), &count);
    if (status == lt::kNotSupported) return 0;
    check_blas(status, "cublasLtMatmulAlgoGetHeuristic");
    size_t running = 0;
    for (int i = 0; i < count; ++i) {
      if (found[size_t(i)].state != lt::kSuccess) continue;
      if (running == candidate_) plan.algorithm = found[size_t(i)].algorithm;
      ++running;
    }
    return running;
  }

  lt::Handle handle_ = nullptr;
  const size_t candidate_ = wanted_candidate();
  std::map<Key, std::unique_ptr<Plan>> plans_;
};

}  // namespace

std::unique_ptr<Gemm> make_gemm() { return std::make_unique<CublasLtGemm>(); }

std::pair<std::string, std::string> gemm_version() {
  const size_t version = cublaslt().GetVersion();
  // 130002 is 13.0.2, 120405 is 12.4.5.
  return {"cuBLASLt", std::to_string(version / 10000) + "." + std::to_string(version / 100 % 100) + "." +
                          std::to_string(version % 100)};
}

}  // namespace nextpatch::cuda
