// Philox for the device.
#pragma once

#include <cuda_runtime.h>

#define NEXTPATCH_HOST_DEVICE __host__ __device__
#include "../core/philox.h"
