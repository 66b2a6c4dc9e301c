#include "cuda_kernels.h"

#include "gemm.h"

namespace nextpatch::cuda {

CudaKernels::CudaKernels(const Device& device) : device_(device), gemm_(make_gemm(device)) {}

CudaKernels::~CudaKernels() = default;

size_t CudaKernels::workspace_bytes() const { return gemm_->workspace_bytes(); }

void CudaKernels::use_workspace(void* data) { gemm_->use_workspace(data); }

Products* CudaKernels::products() { return gemm_->products(); }

void CudaKernels::matmul(const View& c, const View& a, const View& b, bool transpose_a, bool transpose_b,
                         bool accumulate) {
  gemm_->matmul(c, a, b, transpose_a, transpose_b, accumulate);
}

void CudaKernels::batched_matmul(const View& c, const View& a, const View& b, const View& add, bool transpose_a,
                                 bool transpose_b, float alpha, float beta) {
  gemm_->batched_matmul(c, a, b, add, transpose_a, transpose_b, alpha, beta);
}

}  // namespace nextpatch::cuda
