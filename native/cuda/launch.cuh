// The one way to launch a kernel, on a GPU and under simt.
#pragma once

#include <cuda_runtime.h>

#include <string>

#include "../core/error.h"
#include "../core/limits.h"
#include "check.h"
#include "occupancy.h"

namespace nextpatch::cuda {

struct Launch {
  dim3 grid;
  dim3 block;
  size_t shared_bytes;  // dynamic; above 48 KB the kernel is opted in first
  cudaStream_t stream;
};

constexpr size_t kSharedBytesWithoutOptIn = 48 * 1024;

template <typename T>
struct NotDeduced {
  using type = T;
};

#if NEXTPATCH_SIMT

// Instantiated with the launch, so that every kernel with a compiled launch is listed when the library loads, even if
// it never runs.
template <auto Kernel>
struct KernelEntry {
  static const char* pretty_function() { return __PRETTY_FUNCTION__; }
  inline static simt::KernelRecord record{pretty_function()};
};

template <auto Kernel, typename... Params>
cudaError_t launch_kernel(void (*)(Params...), const Launch& at, typename NotDeduced<Params>::type... args) {
  size_t opted_in = 0;
  if (at.shared_bytes > kSharedBytesWithoutOptIn) {
    if (const cudaError_t error = simt::check_opt_in(at.shared_bytes)) return error;
    opted_in = at.shared_bytes;
  }
  return simt::enqueue_kernel(KernelEntry<Kernel>::record, at.grid, at.block, at.shared_bytes, opted_in, at.stream,
                              [=] { Kernel(args...); });
}

#else

template <auto Kernel, typename... Params>
cudaError_t launch_kernel(void (*kernel)(Params...), const Launch& at, typename NotDeduced<Params>::type... args) {
  if (at.shared_bytes > kSharedBytesWithoutOptIn) {
    // The limit belongs to the kernel, for all threads and graphs: set it to the maximum, so that no launch lowers it.
    int device = 0, most = 0;
    cudaError_t error = cudaGetDevice(&device);
    if (error == cudaSuccess) error = cudaDeviceGetAttribute(&most, cudaDevAttrMaxSharedMemoryPerBlockOptin, device);
    if (error == cudaSuccess) error = cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, most);
    if (error != cudaSuccess) return error;
  }
  // Once for each kernel; after the opt-in, without which the driver would count no block.
  static const bool reported =
      (report_occupancy(reinterpret_cast<const void*>(kernel), at.block, at.shared_bytes), true);
  (void)reported;
  cudaLaunchConfig_t config{};
  config.gridDim = at.grid;
  config.blockDim = at.block;
  config.dynamicSmemBytes = at.shared_bytes;
  config.stream = at.stream;
  return cudaLaunchKernelEx(&config, kernel, args...);
}

#endif

// Enqueues Kernel(args...), converted to its parameters' types. A grid without blocks does nothing and is no error.
// `operation` (as kernels.h names it) begins the message of the Error thrown if the launch fails.
template <auto Kernel, typename... Args>
void launch(const char* operation, const Launch& at, Args... args) {
  if (at.grid.x == 0 || at.grid.y == 0 || at.grid.z == 0) return;
  check(launch_kernel<Kernel>(Kernel, at, args...), operation, "launch failed");
}

// Blocks of `block` that cover `count`; throws an Error for more than a grid has, which would wrap around.
inline unsigned blocks_for(int64_t count, int64_t block) {
  const int64_t blocks = (count + block - 1) / block;
  if (blocks > kMaxCount)
    throw Error(ErrorKind::range, "expected a launch of at most " + std::to_string(kMaxCount) +
                                      " blocks but received one of " + std::to_string(blocks));
  return unsigned(blocks);
}

}  // namespace nextpatch::cuda
