// The part of cuBLASLt that is used here, declared here and found when the first device is opened: no build needs
// cuBLAS, and no binary carries a path of the machine that built it. Names, values and layouts are cublasLt.h's of
// CUDA 12 and 13, which agree in all of this.
#pragma once

#include <cuda_runtime.h>

#include <cstddef>
#include <cstdint>

namespace nextpatch::cuda {

namespace lt {

enum Status : int { kSuccess = 0, kNotSupported = 15 };
enum DataType : int { kF32 = 0, kBf16 = 14 };
enum ComputeType : int { kCompute32F = 68 };
enum Operation : int { kN = 0, kT = 1 };
enum DescriptionAttribute : int { kTransposeA = 3, kTransposeB = 4 };
enum LayoutAttribute : int { kBatchCount = 5 /* int32 */, kBatchOffset = 6 /* int64, elements */ };
enum PreferenceAttribute : int {
  kMaxWorkspaceBytes = 1,   // uint64
  kReductionSchemes = 3,    // uint32, a mask
  kMinAlignmentABytes = 5,  // uint32 each
  kMinAlignmentBBytes = 6,
  kMinAlignmentCBytes = 7,
  kMinAlignmentDBytes = 8,
};
// How the parts of a sum that is split are added: in the type of the computation, by a step that follows; or as the
// library likes, its own default.
constexpr uint32_t kReduceInComputeType = 2;
constexpr uint32_t kReduceInAnyWay = 7;

using Handle = struct HandleOpaque*;
using Description = struct DescriptionOpaque*;
using Layout = struct LayoutOpaque*;
using Preference = struct PreferenceOpaque*;

struct Algorithm {
  uint64_t data[8];
};

struct HeuristicResult {
  Algorithm algorithm;
  size_t workspace_bytes;
  Status state;
  float waves;
  int reserved[4];
};

}  // namespace lt

// The functions, under their names without `cublasLt`.
struct CublasLt {
  size_t (*GetVersion)();
  const char* (*GetStatusString)(lt::Status);
  lt::Status (*Create)(lt::Handle*);
  lt::Status (*Destroy)(lt::Handle);
  lt::Status (*MatrixLayoutCreate)(lt::Layout*, lt::DataType, uint64_t rows, uint64_t cols, int64_t leading);
  lt::Status (*MatrixLayoutDestroy)(lt::Layout);
  lt::Status (*MatrixLayoutSetAttribute)(lt::Layout, lt::LayoutAttribute, const void*, size_t);
  lt::Status (*MatmulDescCreate)(lt::Description*, lt::ComputeType, lt::DataType scale);
  lt::Status (*MatmulDescDestroy)(lt::Description);
  lt::Status (*MatmulDescSetAttribute)(lt::Description, lt::DescriptionAttribute, const void*, size_t);
  lt::Status (*MatmulPreferenceCreate)(lt::Preference*);
  lt::Status (*MatmulPreferenceDestroy)(lt::Preference);
  lt::Status (*MatmulPreferenceSetAttribute)(lt::Preference, lt::PreferenceAttribute, const void*, size_t);
  lt::Status (*MatmulAlgoGetHeuristic)(lt::Handle, lt::Description, lt::Layout a, lt::Layout b, lt::Layout c,
                                       lt::Layout d, lt::Preference, int requested, lt::HeuristicResult*,
                                       int* returned);
  lt::Status (*MatmulAlgoCheck)(lt::Handle, lt::Description, lt::Layout a, lt::Layout b, lt::Layout c, lt::Layout d,
                                const lt::Algorithm*, lt::HeuristicResult*);
  lt::Status (*Matmul)(lt::Handle, lt::Description, const void* alpha, const void* a, lt::Layout, const void* b,
                       lt::Layout, const void* beta, const void* c, lt::Layout, void* d, lt::Layout,
                       const lt::Algorithm*, void* workspace, size_t workspace_bytes, cudaStream_t);
};

// The library, opened by the first call: NEXTPATCH_CUBLAS (the library or its folder), else what the system's loader
// knows, else the toolkit's and those of NVIDIA's Python packages. Throws an Error of kind device that says where it
// was looked for and how to get it. Safe from any thread.
const CublasLt& cublaslt();

}  // namespace nextpatch::cuda
