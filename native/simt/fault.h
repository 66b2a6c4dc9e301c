// Faults on demand, for tests. A device fault: the launch that faults still returns success, as the host does not wait
// for it, and every later call fails until the process ends. And a wrong kernel: one that leaves out its first block.
#pragma once

#include <cuda_runtime.h>

#include <string>

namespace nextpatch::simt {

// cudaErrorLaunchFailure once the device has faulted.
cudaError_t fault();

// Counts a kernel launch. True if this one faults: NEXTPATCH_SIMT_FAULT is its number, from 1.
bool faults_now();

// Whether every launch of this kernel leaves out its first block: NEXTPATCH_SIMT_WRONG is the beginning of its name.
bool is_wrong(const std::string& kernel);

}  // namespace nextpatch::simt
