// A cuBLASLt that multiplies on the host and believes nothing: sizes that do not fit, a leading dimension below the
// rows, stacks of different heights, a pointer that is less aligned than was promised to the heuristic, an algorithm of
// another shape, another matrix than the result where none is added, or a workspace that is missing are each an error.
// It has several algorithms for each product, which add in different orders. Built as a library and opened through
// NEXTPATCH_CUBLAS, so that the code that looks for the real one is tested too.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "../../../cuda/cublaslt.h"

namespace nextpatch::cuda::lt {

struct HandleOpaque {};
struct DescriptionOpaque {
  Operation a = kN, b = kN;
};
struct LayoutOpaque {
  DataType type;
  int64_t rows, cols, leading;
  int32_t batch = 1;
  int64_t offset = 0;  // elements from one matrix to the next
};
struct PreferenceOpaque {
  uint64_t workspace_bytes = 0;
  uint32_t reduction_schemes = kReduceInAnyWay;
  uint32_t alignment[4] = {256, 256, 256, 256};
};

namespace {

constexpr Status kInvalid = Status(7);

Status refuse(const char* why) {
  std::fprintf(stderr, "fake cuBLASLt: %s\n", why);
  return kInvalid;
}

// What the heuristic was told, kept in the algorithm.
struct Promise {
  int32_t m, n, k;
  uint32_t alignment[4];
  int32_t batch;
  uint64_t workspace_bytes;
  uint32_t order;  // in which the terms are added: which of the algorithms it is
};
constexpr uint32_t kOrders = 4;
static_assert(sizeof(Promise) <= sizeof(Algorithm));

bool same(const LayoutOpaque& a, const LayoutOpaque& b) {
  return a.type == b.type && a.rows == b.rows && a.cols == b.cols && a.leading == b.leading && a.batch == b.batch &&
         a.offset == b.offset;
}

double read(const void* data, DataType type, int64_t i) {
  if (type == kF32) return static_cast<const float*>(data)[i];
  const uint32_t word = uint32_t(static_cast<const uint16_t*>(data)[i]) << 16;
  float value;
  std::memcpy(&value, &word, 4);
  return value;
}

void write(void* data, DataType type, int64_t i, float value) {
  if (type == kF32) {
    static_cast<float*>(data)[i] = value;
    return;
  }
  uint32_t word;
  std::memcpy(&word, &value, 4);
  static_cast<uint16_t*>(data)[i] = uint16_t((word + 0x7fff + ((word >> 16) & 1)) >> 16);
}

const char* mismatch(const DescriptionOpaque& of, const LayoutOpaque& a, const LayoutOpaque& b, const LayoutOpaque& c,
                     Promise* promise) {
  const int64_t m = of.a == kN ? a.rows : a.cols, k = of.a == kN ? a.cols : a.rows;
  const int64_t inner = of.b == kN ? b.rows : b.cols, n = of.b == kN ? b.cols : b.rows;
  if (k != inner) return "the inner dimensions differ";
  if (c.rows != m || c.cols != n) return "the result has another shape";
  if (a.type != b.type) return "the operands have two types";
  if (a.batch != b.batch || a.batch != c.batch) return "stacks of different heights";
  promise->m = int32_t(m);
  promise->n = int32_t(n);
  promise->k = int32_t(k);
  promise->batch = a.batch;
  return nullptr;
}

// Which of n terms is added at a place.
int64_t term(uint32_t order, int64_t place, int64_t n) {
  switch (order) {
    case 0:
      return place;
    case 1:
      return n - 1 - place;
    case 2:  // from both ends
      return place % 2 ? n - 1 - place / 2 : place / 2;
    default:  // the second half first
      return (place + n / 2) % n;
  }
}

// Set by tests: products whose reduction is restricted to the computation's type have no algorithm.
bool needs_any_reduction() { return std::getenv("FAKE_CUBLASLT_ANY_REDUCTION") != nullptr; }

}  // namespace
}  // namespace nextpatch::cuda::lt

using namespace nextpatch::cuda::lt;

extern "C" {

size_t cublasLtGetVersion() { return 120405; }
const char* cublasLtGetStatusString(Status status) { return status == kInvalid ? "invalid value" : "not supported"; }

Status cublasLtCreate(Handle* handle) {
  *handle = new HandleOpaque;
  return kSuccess;
}
Status cublasLtDestroy(Handle handle) {
  delete handle;
  return kSuccess;
}

Status cublasLtMatrixLayoutCreate(Layout* layout, DataType type, uint64_t rows, uint64_t cols, int64_t leading) {
  if (leading < int64_t(rows)) return refuse("the leading dimension is below the rows");
  *layout = new LayoutOpaque();
  (*layout)->type = type;
  (*layout)->rows = int64_t(rows);
  (*layout)->cols = int64_t(cols);
  (*layout)->leading = leading;
  return kSuccess;
}
Status cublasLtMatrixLayoutDestroy(Layout layout) {
  delete layout;
  return kSuccess;
}
Status cublasLtMatrixLayoutSetAttribute(Layout layout, LayoutAttribute attribute, const void* value, size_t bytes) {
  if (bytes != (attribute == kBatchCount ? 4 : 8)) return refuse("an attribute of the layout has another size");
  std::memcpy(attribute == kBatchCount ? static_cast<void*>(&layout->batch) : &layout->offset, value, bytes);
  return kSuccess;
}

Status cublasLtMatmulDescCreate(Description* description, ComputeType compute, DataType scale) {
  if (compute != kCompute32F || scale != kF32) return refuse("computed in something else than f32");
  *description = new DescriptionOpaque;
  return kSuccess;
}
Status cublasLtMatmulDescDestroy(Description description) {
  delete description;
  return kSuccess;
}
Status cublasLtMatmulDescSetAttribute(Description description, DescriptionAttribute attribute, const void* value,
                                      size_t bytes) {
  if (bytes != sizeof(Operation)) return refuse("an attribute of the description has another size");
  std::memcpy(attribute == kTransposeA ? &description->a : &description->b, value, bytes);
  return kSuccess;
}

Status cublasLtMatmulPreferenceCreate(Preference* preference) {
  *preference = new PreferenceOpaque;
  return kSuccess;
}
Status cublasLtMatmulPreferenceDestroy(Preference preference) {
  delete preference;
  return kSuccess;
}
Status cublasLtMatmulPreferenceSetAttribute(Preference preference, PreferenceAttribute attribute, const void* value,
                                            size_t bytes) {
  if (bytes != (attribute == kMaxWorkspaceBytes ? 8 : 4))
    return refuse("an attribute of the preference has another size");
  void* const to = attribute == kMaxWorkspaceBytes  ? static_cast<void*>(&preference->workspace_bytes)
                   : attribute == kReductionSchemes ? &preference->reduction_schemes
                                                    : &preference->alignment[attribute - kMinAlignmentABytes];
  std::memcpy(to, value, bytes);
  return kSuccess;
}

// The first result does not run, as the real heuristic's may not; then come the algorithms.
Status cublasLtMatmulAlgoGetHeuristic(Handle, Description description, Layout a, Layout b, Layout c, Layout d,
                                      Preference preference, int requested, HeuristicResult* results, int* returned) {
  *returned = 0;
  Promise promise{};
  if (const char* why = mismatch(*description, *a, *b, *c, &promise)) return refuse(why);
  if (!same(*c, *d)) return refuse("c and d are laid out differently");
  if (needs_any_reduction() && preference->reduction_schemes != kReduceInAnyWay) return kNotSupported;
  std::memcpy(promise.alignment, preference->alignment, sizeof promise.alignment);
  promise.workspace_bytes = preference->workspace_bytes;
  *returned = std::min(requested, int(kOrders) + 1);
  for (int i = 0; i < *returned; ++i) {
    results[i] = {};
    results[i].state = i == 0 ? kNotSupported : kSuccess;
    promise.order = uint32_t(i - 1);
    std::memcpy(&results[i].algorithm, &promise, sizeof promise);
  }
  return kSuccess;
}

Status cublasLtMatmulAlgoCheck(Handle, Description description, Layout a, Layout b, Layout c, Layout d,
                               const Algorithm* algorithm, HeuristicResult* result) {
  Promise found{}, promise;
  std::memcpy(&promise, algorithm, sizeof promise);
  if (const char* why = mismatch(*description, *a, *b, *c, &found)) return refuse(why);
  if (!same(*c, *d)) return refuse("c and d are laid out differently");
  if (found.m != promise.m || found.n != promise.n || found.k != promise.k || found.batch != promise.batch)
    return kInvalid;
  if (promise.order >= kOrders) return kNotSupported;
  result->workspace_bytes = promise.workspace_bytes;
  result->state = kSuccess;
  return kSuccess;
}

Status cublasLtMatmul(Handle, Description description, const void* alpha, const void* a, Layout a_layout, const void* b,
                      Layout b_layout, const void* beta, const void* c, Layout c_layout, void* d, Layout d_layout,
                      const Algorithm* algorithm, void* workspace, size_t workspace_bytes, cudaStream_t) {
  Promise found{}, promise;
  std::memcpy(&promise, algorithm, sizeof promise);
  if (const char* why = mismatch(*description, *a_layout, *b_layout, *c_layout, &found)) return refuse(why);
  if (found.m != promise.m || found.n != promise.n || found.k != promise.k || found.batch != promise.batch)
    return refuse("an algorithm of another shape");
  if (!same(*c_layout, *d_layout)) return refuse("c and d are laid out differently");
  if (!workspace || workspace_bytes < promise.workspace_bytes) return refuse("less workspace than was promised");
  const float by = *static_cast<const float*>(alpha), keep = *static_cast<const float*>(beta);
  if (c != d && keep == 0) return refuse("c is another matrix than the result, and is not added");
  const void* const data[] = {a, b, c, d};
  const Layout layouts[] = {a_layout, b_layout, c_layout, d_layout};
  for (int i = 0; i < 4; ++i) {
    const int64_t step = layouts[i]->batch > 1 ? layouts[i]->offset * (layouts[i]->type == kF32 ? 4 : 2) : 0;
    if (reinterpret_cast<uintptr_t>(data[i]) % promise.alignment[i] != 0 || step % promise.alignment[i] != 0)
      return refuse("less aligned than was promised");
  }
  std::memset(workspace, 0xff, 64);  // it holds nothing between calls
  for (int64_t matrix = 0; matrix < found.batch; ++matrix)
    for (int64_t j = 0; j < found.n; ++j)
      for (int64_t i = 0; i < found.m; ++i) {
        float sum = 0;
        for (int64_t place = 0; place < found.k; ++place) {
          const int64_t k = term(promise.order, place, found.k);
          const int64_t of_a = description->a == kN ? i + k * a_layout->leading : k + i * a_layout->leading;
          const int64_t of_b = description->b == kN ? k + j * b_layout->leading : j + k * b_layout->leading;
          sum += float(read(a, a_layout->type, matrix * a_layout->offset + of_a) *
                       read(b, b_layout->type, matrix * b_layout->offset + of_b));
        }
        const int64_t at = matrix * c_layout->offset + i + j * c_layout->leading;
        const double before = keep != 0 ? keep * read(c, c_layout->type, at) : 0;
        write(d, c_layout->type, at, float(by * sum + before));
      }
  return kSuccess;
}

}  // extern "C"
