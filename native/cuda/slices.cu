#include "slices.h"

#include "launch.cuh"
#include "shared.cuh"

namespace nextpatch::cuda {
namespace {

constexpr int kColumns = 32, kWarps = 32;

// One block: 32 columns. A warp sums every kWarps-th slice, then the block sums the warps'.
__global__ void __launch_bounds__(kWarps * 32)
    add_slices_kernel(float* out, const float* slices, int64_t cols, int count) {
  const int warp = int(threadIdx.x) / 32, lane = int(threadIdx.x) % 32;
  const int64_t col = int64_t(blockIdx.x) * kColumns + lane;
  float* const sums = shared_memory<float>();
  float sum = 0;
  if (col < cols) {
#pragma unroll 8
    for (int slice = warp; slice < count; slice += kWarps) sum += slices[slice * cols + col];
  }
  sums[warp * kColumns + lane] = sum;
  __syncthreads();
  if (warp != 0 || col >= cols) return;
  sum = 0;
  for (int i = 0; i < kWarps; ++i) sum += sums[i * kColumns + lane];
  out[col] += sum;
}

}  // namespace

void add_slices(const Device& device, const char* operation, float* out, const float* slices, int64_t cols,
                unsigned count) {
  const Launch at{blocks_for(cols, kColumns), kWarps * 32, kWarps * kColumns * sizeof(float), device.stream};
  launch<add_slices_kernel>(operation, at, out, slices, cols, int(count));
}

}  // namespace nextpatch::cuda
