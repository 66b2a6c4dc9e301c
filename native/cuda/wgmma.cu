// Whether this device runs the code that has a warpgroup's products.
#include "check.h"
#include "launch.cuh"
#include "wgmma.cuh"
#include "wgmma.h"

namespace nextpatch::cuda {
namespace {

__global__ void has_wgmma_kernel(int* answer) { *answer = NEXTPATCH_WGMMA; }

}  // namespace

// The capability does not tell it: on 9.0 the driver may be asked to compile the PTX instead (CUDA_FORCE_PTX_JIT),
// which has none.
bool has_wgmma(int major, cudaStream_t stream) {
  if (major != 9) return false;
  int* answer = nullptr;
  check(cudaHostAlloc(reinterpret_cast<void**>(&answer), sizeof(int), cudaHostAllocMapped), "open",
        "cudaHostAlloc failed");
  *answer = 0;
  void* mapped = nullptr;
  cudaError_t error = cudaHostGetDevicePointer(&mapped, answer, 0);
  if (error == cudaSuccess)
    error = launch_kernel<has_wgmma_kernel>(has_wgmma_kernel, {1, 1, 0, stream}, static_cast<int*>(mapped));
  if (error == cudaSuccess) error = cudaStreamSynchronize(stream);
  const bool has = *answer != 0;
  cudaFreeHost(answer);
  check(error, "open", "the first kernel failed");
  return has;
}

}  // namespace nextpatch::cuda
