// What a library that stands in for one of NVIDIA's needs of the simulated runtime. Such a library is opened at run
// time and links nothing of it: it finds `nextpatch_simt_host` by its name.
#pragma once

#include <cuda_runtime.h>

#include <functional>

namespace nextpatch::simt {

struct Host {
  cudaError_t (*enqueue)(cudaStream_t, std::function<cudaError_t()>);
  bool (*capturing)(cudaStream_t);
  int (*current_device)();
  int (*device_of)(const void*);
};

}  // namespace nextpatch::simt

extern "C" __attribute__((visibility("default"))) const nextpatch::simt::Host* nextpatch_simt_host();
