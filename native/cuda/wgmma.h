// Whether a device runs the code that has a warpgroup's products (wgmma.cuh).
#pragma once

#include <cuda_runtime.h>

namespace nextpatch::cuda {

// major: the device's compute capability. Launches a kernel on the stream and waits for it.
bool has_wgmma(int major, cudaStream_t stream);

}  // namespace nextpatch::cuda
