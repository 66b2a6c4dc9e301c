// Stand-in for the CUDA runtime's header, for the host compiler: the part that the kernels of native/cuda use.
// Static __shared__ variables are left out on purpose, as they could not be poisoned or bounds-checked; kernels use
// shared_memory() of native/cuda/shared.cuh instead.
#pragma once

#include "simt/api.h"
#include "simt/device.h"
#include "simt/vector_types.h"

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline __attribute__((always_inline))
#define __launch_bounds__(...)
#define __align__(bytes) alignas(bytes)
