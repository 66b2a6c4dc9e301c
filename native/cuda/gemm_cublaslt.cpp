#include <array>
#include <cstring>
#include <map>

#include "../core/error.h"
#include "check.h"
#include "cublaslt.h"
#include "gemm.h"
#include "product_key.h"

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

// Owns one of cuBLASLt's descriptors from its creation on, so that an error in the setting of an attribute frees it.
template <typename T>
class Owned {
 public:
  explicit Owned(lt::Status (*destroy)(T)) : destroy_(destroy) {}
  ~Owned() {
    if (value_) destroy_(value_);
  }
  Owned(const Owned&) = delete;
  Owned& operator=(const Owned&) = delete;

  T* to_create() { return &value_; }
  operator T() const { return value_; }

 private:
  T value_ = nullptr;
  lt::Status (*destroy_)(T);
};

struct Layout {
  Owned<lt::Layout> value{cublaslt().MatrixLayoutDestroy};
  // Of each of `batch` matrices, one behind the other.
  Layout(DType dtype, int64_t rows, int64_t cols, int64_t batch) {
    check_blas(cublaslt().MatrixLayoutCreate(value.to_create(), data_type(dtype), uint64_t(rows), uint64_t(cols), rows),
               "cublasLtMatrixLayoutCreate");
    if (batch == 1) return;
    set(lt::kBatchCount, int32_t(batch));
    set(lt::kBatchOffset, rows * cols);
  }

 private:
  template <typename T>
  void set(lt::LayoutAttribute attribute, T to) {
    check_blas(cublaslt().MatrixLayoutSetAttribute(value, attribute, &to, sizeof to),
               "cublasLtMatrixLayoutSetAttribute");
  }
};

struct Preference {
  Owned<lt::Preference> value{cublaslt().MatmulPreferenceDestroy};
  Preference() { check_blas(cublaslt().MatmulPreferenceCreate(value.to_create()), "cublasLtMatmulPreferenceCreate"); }

  template <typename T>
  void set(lt::PreferenceAttribute attribute, T to) {
    check_blas(cublaslt().MatmulPreferenceSetAttribute(value, attribute, &to, sizeof to),
               "cublasLtMatmulPreferenceSetAttribute");
  }
};

// cuBLAS is column-major, so it sees a row-major matrix as its transpose: c = op(a) op(b) is requested as
// c^T = op(b)^T op(a)^T, with the operands exchanged and no data moved.
struct Plan {
  Owned<lt::Description> description{cublaslt().MatmulDescDestroy};
  Layout first, second, result;  // b, a, c
  lt::Algorithm algorithm{};
  bool in_table = false;
  int64_t writes = 0, adds = 0;  // how often it was enqueued

  explicit Plan(const Product& p, int64_t batch = 1)
      : first(p.inputs, p.transpose_b ? p.k : p.n, p.transpose_b ? p.n : p.k, batch),
        second(p.inputs, p.transpose_a ? p.m : p.k, p.transpose_a ? p.k : p.m, batch),
        result(p.output, p.n, p.m, batch) {
    check_blas(cublaslt().MatmulDescCreate(description.to_create(), lt::kCompute32F, lt::kF32),
               "cublasLtMatmulDescCreate");
    const lt::Operation of_first = p.transpose_b ? lt::kT : lt::kN;
    const lt::Operation of_second = p.transpose_a ? lt::kT : lt::kN;
    set(lt::kTransposeA, of_first);
    set(lt::kTransposeB, of_second);
  }

 private:
  void set(lt::DescriptionAttribute attribute, lt::Operation operation) {
    check_blas(cublaslt().MatmulDescSetAttribute(description, attribute, &operation, sizeof operation),
               "cublasLtMatmulDescSetAttribute");
  }
};

class CublasLtGemm final : public Gemm, public Products {
 public:
  // A library that is there but does not start fails the first product, not the device: other operations run without
  // it.
  explicit CublasLtGemm(const Device& device) : stream_(device.stream), created_(cublaslt().Create(&handle_)) {}
  ~CublasLtGemm() override {
    plans_.clear();
    batched_plans_.clear();
    if (created_ == lt::kSuccess) cublaslt().Destroy(handle_);
  }

  void matmul(const View& c, const View& a, const View& b, bool transpose_a, bool transpose_b,
              bool accumulate) override {
    if (c.size() == 0) return;
    if (a.size() == 0) {  // an empty sum
      if (!accumulate) check(cudaMemsetAsync(c.data, 0, size_t(c.size()) * size_of(c.dtype), stream_), "matmul");
      return;
    }
    Plan& plan = find(product_of(c, a, b, transpose_a, transpose_b));
    ++(accumulate ? plan.adds : plan.writes);
    enqueue(plan, c, a, b, c, 1, accumulate ? 1 : 0);
  }

  void batched_matmul(const View& c, const View& a, const View& b, const View& add, bool transpose_a, bool transpose_b,
                      float alpha, float beta) override {
    const Product product = product_of_each(c, a, b, add, transpose_a, transpose_b);
    std::unique_ptr<Plan>& plan = batched_plans_[{product, c.dim(0)}];
    if (!plan) plan = first_choice(product, c.dim(0));
    enqueue(*plan, c, a, b, add ? add : c, alpha, add ? beta : 0);
  }

  size_t workspace_bytes() const override { return kWorkspaceBytes; }
  void use_workspace(void* data) override { workspace_ = data; }

  Products* products() override { return this; }

  std::string library() const override {
    const auto [name, version] = gemm_version();
    return name + " " + version;
  }

  std::vector<SeenProduct> seen() const override {
    std::vector<SeenProduct> found;
    for (const auto& [product, plan] : plans_)
      if (plan->writes + plan->adds > 0) found.push_back({product, plan->writes, plan->adds, plan->in_table});
    return found;
  }

  std::vector<Algorithm> suggested(const Product& product) override {
    std::vector<Algorithm> found;
    for (const lt::Algorithm& algorithm : suggest(product, Plan(product))) {
      found.emplace_back();
      std::memcpy(found.back().data(), &algorithm, sizeof algorithm);
    }
    return found;
  }

  void use(const ProductTable& table) override {
    std::map<Product, std::unique_ptr<Plan>> plans;
    for (const auto& [product, algorithm] : table) {
      auto plan = std::make_unique<Plan>(product);
      std::memcpy(&plan->algorithm, algorithm.data(), sizeof algorithm);
      plan->in_table = true;
      require_runs(product, *plan);
      plans.emplace(product, std::move(plan));
    }
    plans_ = std::move(plans);
  }

 private:
  static_assert(sizeof(Algorithm) == sizeof(lt::Algorithm));

  // The most algorithms that the heuristic is asked for.
  static constexpr size_t kMostAlgorithms = 32;

  // The table's algorithm, else the heuristic's first choice that runs, queried once per product. Algorithms are not
  // timed here: timings would choose between algorithms that add in different orders, and so change the bits of a run.
  Plan& find(const Product& product) {
    const auto known = plans_.find(product);
    if (known != plans_.end()) return *known->second;
    return *plans_.emplace(product, first_choice(product, 1)).first->second;
  }

  std::unique_ptr<Plan> first_choice(const Product& product, int64_t batch) const {
    auto plan = std::make_unique<Plan>(product, batch);
    const std::vector<lt::Algorithm> algorithms = suggest(product, *plan);
    if (algorithms.empty())
      throw Error(ErrorKind::device,
                  "matmul: expected an algorithm of cuBLASLt for " + text_of(product) + " but received none");
    plan->algorithm = algorithms.front();
    return plan;
  }

  // c = alpha * op(a) op(b) + beta * add
  void enqueue(const Plan& plan, const View& c, const View& a, const View& b, const View& add, float alpha,
               float beta) {
    check_blas(cublaslt().Matmul(handle(), plan.description, &alpha, b.data, plan.first.value, a.data,
                                 plan.second.value, &beta, add.data, plan.result.value, c.data, plan.result.value,
                                 &plan.algorithm, workspace_, kWorkspaceBytes, stream_),
               "cublasLtMatmul");
  }

  // The heuristic's algorithms that run, the one that it expects to be the fastest first.
  std::vector<lt::Algorithm> suggest(const Product& product, const Plan& plan) const {
    Preference preference;
    preference.set(lt::kMaxWorkspaceBytes, uint64_t(kWorkspaceBytes));
    preference.set(lt::kMinAlignmentABytes, product.align_b);
    preference.set(lt::kMinAlignmentBBytes, product.align_a);
    preference.set(lt::kMinAlignmentCBytes, product.align_c);
    preference.set(lt::kMinAlignmentDBytes, product.align_c);
    // The parts of a split sum are added in f32, not in the result's bf16, and in a separate step: adding in place is
    // documented as "in sequence", but not in which sequence. If that leaves no algorithm, any way will do.
    for (const uint32_t schemes : {lt::kReduceInComputeType, lt::kReduceInAnyWay}) {
      preference.set(lt::kReductionSchemes, schemes);
      std::array<lt::HeuristicResult, kMostAlgorithms> found{};
      int count = 0;
      const lt::Status status = cublaslt().MatmulAlgoGetHeuristic(
          handle(), plan.description, plan.first.value, plan.second.value, plan.result.value, plan.result.value,
          preference.value, int(found.size()), found.data(), &count);
      if (status == lt::kNotSupported) continue;
      check_blas(status, "cublasLtMatmulAlgoGetHeuristic");
      std::vector<lt::Algorithm> running;
      for (int i = 0; i < count; ++i)
        if (found[size_t(i)].state == lt::kSuccess) running.push_back(found[size_t(i)].algorithm);
      if (!running.empty()) return running;
    }
    return {};
  }

  lt::Handle handle() const {
    check_blas(created_, "cublasLtCreate");
    return handle_;
  }

  // Throws an Error if cuBLASLt does not run a plan's algorithm here.
  void require_runs(const Product& product, const Plan& plan) const {
    lt::HeuristicResult result{};
    const lt::Status status =
        cublaslt().MatmulAlgoCheck(handle(), plan.description, plan.first.value, plan.second.value, plan.result.value,
                                   plan.result.value, &plan.algorithm, &result);
    const std::string refused = library() + " refuses the algorithm of " + text_of(product) + ": ";
    if (status != lt::kSuccess) throw Error(ErrorKind::range, refused + cublaslt().GetStatusString(status));
    if (result.workspace_bytes > kWorkspaceBytes)
      throw Error(ErrorKind::range, refused + "it needs " + std::to_string(result.workspace_bytes) +
                                        " bytes of workspace, there are " + std::to_string(kWorkspaceBytes));
  }

  cudaStream_t stream_;
  void* workspace_ = nullptr;
  lt::Handle handle_ = nullptr;
  lt::Status created_;
  std::map<Product, std::unique_ptr<Plan>> plans_;
  std::map<std::pair<Product, int64_t>, std::unique_ptr<Plan>> batched_plans_;  // by the number of matrices, too
};

}  // namespace

std::unique_ptr<Gemm> make_gemm(const Device& device) { return std::make_unique<CublasLtGemm>(device); }

std::pair<std::string, std::string> gemm_version() {
  const size_t version = cublaslt().GetVersion();
  // 130002 is 13.0.2, 120405 is 12.4.5.
  return {"cuBLASLt", std::to_string(version / 10000) + "." + std::to_string(version / 100 % 100) + "." +
                          std::to_string(version % 100)};
}

}  // namespace nextpatch::cuda
