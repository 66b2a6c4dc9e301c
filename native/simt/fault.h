// Faults on demand, for tests. A device fault: the launch that faults still returns success, as the host does not wait
// for it, and every later call fails until the process ends. And a wrong kernel: one that leaves out a block.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>
#include <string>

namespace nextpatch::simt {

// cudaErrorLaunchFailure once the device has faulted.
cudaError_t fault();

// Counts a kernel launch. True if this one faults: NEXTPATCH_SIMT_FAULT is its number, from 1.
bool faults_now();

// The block, of so many, that this launch of a kernel leaves out; -1: none. NEXTPATCH_SIMT_LOST_BLOCK is the beginning
// of the kernel's name, and loses the first block; with ":last" after it the last one. It is read at every launch, so
// that one process can try many: change it only while the device is idle.
int64_t lost_block(const std::string& kernel, uint32_t blocks);

}  // namespace nextpatch::simt
