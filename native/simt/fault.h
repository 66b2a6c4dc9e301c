// A device that has faulted: the launch that did so succeeds, for the host is already further, and every call behind
// it fails, until the process ends.
#pragma once

#include <cuda_runtime.h>

namespace nextpatch::simt {

// cudaErrorLaunchFailure once the device has faulted.
cudaError_t fault();

// Counts the launch of a kernel. True for the one that faults: NEXTPATCH_SIMT_FAULT is its number, from 1.
bool faults_now();

}  // namespace nextpatch::simt
