// The CUDA backend's operations; each family is defined in its own file. Compiled by nvcc for GPUs and by the host's
// compiler for simt.
#pragma once

#include <cuda_runtime.h>

#include <memory>

#include "../core/products.h"
#include "../kernels.h"

namespace nextpatch::cuda {

class Gemm;
struct BadId;

// What a kernel's launcher needs to know about the device.
struct Device {
  int index = 0;
  int major = 0;  // of the compute capability
  cudaStream_t stream = nullptr;
  size_t shared_bytes = 0;          // the most dynamic shared memory of a block, opted in
  size_t multiprocessor_bytes = 0;  // shared memory of a multiprocessor
  bool wgmma = false;               // whether it runs a warpgroup's products
  BadId* bad_id = nullptr;          // where kernels report ids outside the vocabulary
};

class CudaKernels final : public Kernels {
 public:
  explicit CudaKernels(const Device& device);
  ~CudaKernels() override;

  // As Context's.
  size_t workspace_bytes() const;
  void use_workspace(void* data);
  Products* products();

#include "../kernels_overrides.inc"

 private:
  Device device_;
  std::unique_ptr<Gemm> gemm_;
};

}  // namespace nextpatch::cuda
