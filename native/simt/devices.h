// The simulated devices: as many as NEXTPATCH_SIMT_DEVICES says, by default one. Like CUDA's, the current device is the
// calling thread's own. A stream, an event or memory of one device is an error on another, so that a host path that
// forgets to switch shows.
#pragma once

#include <cuda_runtime.h>

namespace nextpatch::simt {

int device_count();
int current_device();
cudaError_t set_current_device(int device);

// The device whose memory an address is in; -1 if it is the host's.
int device_of(const void* address);

}  // namespace nextpatch::simt
