// Dynamic shared memory, the only kind used: simt poisons it when a block starts and lets a sanitizer see every access
// beyond its end, which is impossible with static variables.
#pragma once

#include <cuda_runtime.h>

namespace nextpatch::cuda {

// The block's dynamic shared memory, Launch::shared_bytes of it, 1024-byte aligned (as wgmma's panels are), from
// `byte_offset` on.
template <typename T>
__device__ __forceinline__ T* shared_memory(size_t byte_offset = 0) {
#if NEXTPATCH_SIMT
  char* const start = static_cast<char*>(simt::shared_memory());
#else
  extern __shared__ __align__(1024) char start[];
#endif
  return reinterpret_cast<T*>(start + byte_offset);
}

}  // namespace nextpatch::cuda
