// Stand-in for the CUDA runtime's header: what the kernels of native/cuda use of it, for the host compiler.
// Static __shared__ variables are left out on purpose: they could not be poisoned, nor their bounds be
// checked; kernels take shared_memory() of native/cuda/shared.cuh.
#pragma once

#include "simt/api.h"
#include "simt/device.h"
#include "simt/vector_types.h"

#define __global__
#define __device__
#define __host__
#define __constant__
#define __forceinline__ inline __attribute__((always_inline))
#define __launch_bounds__(...)
#define __align__(bytes) alignas(bytes)
#define __grid_constant__
