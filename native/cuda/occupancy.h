// What the driver says of each kernel that is launched: NEXTPATCH_CUDA_OCCUPANCY=FILE.
#pragma once

#include <cuda_runtime.h>

namespace nextpatch::cuda {

// Appends a line of JSON to the file: the kernel's name, its threads and bytes of shared memory in this launch, and
// registers, local memory, machine code and blocks per multiprocessor as the driver has them. Without the variable it
// does nothing. Never fails: what the driver refuses to tell is left out.
void report_occupancy(const void* kernel, const dim3& block, size_t shared_bytes);

}  // namespace nextpatch::cuda
