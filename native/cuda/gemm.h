// Matrix products: cuBLASLt's on GPUs (gemm_cublaslt.cpp), plain loops under simt (../simt/gemm.cpp).
//
// There are no epilogues: cuBLASLt has none for the SwiGLU of two halves of a row or for RMSNorm, the norm's kernel
// adds the residual, because it reads the row anyway, and a bias, which few models have, has a kernel of its own
// (bias.cu).
#pragma once

#include <memory>
#include <string>

#include "../core/products.h"
#include "../core/view.h"
#include "cuda_kernels.h"

namespace nextpatch::cuda {

class Gemm {
 public:
  virtual ~Gemm() = default;

  // As Kernels::matmul. f32 inputs are multiplied in f32 (no TF32), bf16 ones summed in f32.
  virtual void matmul(const View& c, const View& a, const View& b, bool transpose_a, bool transpose_b,
                      bool accumulate) = 0;

  // As Kernels::batched_matmul. The table of algorithms has none of these products.
  virtual void batched_matmul(const View& c, const View& a, const View& b, const View& add, bool transpose_a,
                              bool transpose_b, float alpha, float beta) = 0;

  // As Context's.
  virtual size_t workspace_bytes() const = 0;
  virtual void use_workspace(void* data) = 0;
  virtual Products* products() { return nullptr; }
};

std::unique_ptr<Gemm> make_gemm(const Device& device);

// Library and version, for Backend::versions. Throws an Error of kind device if the library is missing.
std::pair<std::string, std::string> gemm_version();

}  // namespace nextpatch::cuda
