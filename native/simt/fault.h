// Simulates a device fault: the launch that faults still returns success, as the host does not wait for it, and every
// later call fails until the process ends.
#pragma once

#include <cuda_runtime.h>

namespace nextpatch::simt {

// cudaErrorLaunchFailure once the device has faulted.
cudaError_t fault();

// Counts a kernel launch. True if this one faults: NEXTPATCH_SIMT_FAULT is its number, from 1.
bool faults_now();

}  // namespace nextpatch::simt
