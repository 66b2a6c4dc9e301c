#include "cuda_kernels.h"

#include "gemm.h"

namespace nextpatch::cuda {

CudaKernels::CudaKernels(const Device& device) : device_(device), side_(device.stream), gemm_(make_gemm()) {}

CudaKernels::~CudaKernels() = default;

size_t CudaKernels::workspace_bytes() const { return 2 * gemm_->workspace_bytes(); }

void CudaKernels::use_workspace(void* data) { workspace_ = static_cast<char*>(data); }

Products* CudaKernels::products() { return gemm_->products(); }

void CudaKernels::matmul(const View& c, const View& a, const View& b, bool transpose_a, bool transpose_b,
                         bool accumulate) {
  gemm_->matmul({device_.stream, workspace_}, c, a, b, transpose_a, transpose_b, accumulate);
}

void CudaKernels::matmul_beside(const View& c, const View& a, const View& b, bool transpose_a, bool transpose_b,
                                bool accumulate) {
  const Lane lane{side_.fork(), workspace_ + gemm_->workspace_bytes()};
  gemm_->matmul(lane, c, a, b, transpose_a, transpose_b, accumulate);
  side_.finish(c.data);
}

void CudaKernels::join_product(const View& c) { side_.join(c.data); }

}  // namespace nextpatch::cuda
