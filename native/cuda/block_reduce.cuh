// Sums and maxima over a warp or a block, in a fixed order.
#pragma once

#include <cuda_runtime.h>

namespace nextpatch::cuda {

constexpr unsigned kAllLanes = 0xffffffffu;

// Every lane of the warp receives the sum.
template <typename T>
__device__ __forceinline__ T warp_sum(T value) {
#pragma unroll
  for (int lanes = 16; lanes > 0; lanes /= 2) value += __shfl_xor_sync(kAllLanes, value, lanes);
  return value;
}

template <typename T>
__device__ __forceinline__ T warp_max(T value) {
#pragma unroll
  for (int lanes = 16; lanes > 0; lanes /= 2) value = max(value, __shfl_xor_sync(kAllLanes, value, lanes));
  return value;
}

// Every thread of the block (a multiple of 32 threads, one-dimensional) receives the sum. `scratch`: shared
// memory for blockDim.x / 32 elements; reusable when the call returns.
template <typename T>
__device__ __forceinline__ T block_sum(T value, T* scratch) {
  const int warp = int(threadIdx.x) / 32, lane = int(threadIdx.x) % 32, warps = int(blockDim.x) / 32;
  value = warp_sum(value);
  if (lane == 0) scratch[warp] = value;
  __syncthreads();
  value = warp_sum(lane < warps ? scratch[lane] : T(0));
  __syncthreads();
  return value;
}

}  // namespace nextpatch::cuda
