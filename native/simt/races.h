// Races in shared memory, found by what CUDA promises and not by what happened: of two accesses by different threads, one
// of them a write, a barrier (__syncthreads, bar.sync, or __syncwarp within a warp) must lie between. Shuffles, votes and
// products on tensor cores order nothing. A build of its own (NEXTPATCH_RACES) has every access of the kernels reported.
#pragma once

#include <cstddef>
#include <cstdint>

namespace nextpatch::simt {

struct Block;

enum class Access : uint8_t { read, write, atomic };

#if NEXTPATCH_RACES

// The block starts: nothing that happened before is of its concern.
void forget_accesses(const Block& block);

// By the running thread, or by a lane of its warp. A race fails the kernel. Memory that is not shared is ignored.
void note_access(const void* address, size_t bytes, Access access);
void note_access(const void* address, size_t bytes, Access access, int lane);

// What these warps (a bit each) did comes before what any of them does from here on.
void order_warps(uint32_t warps);
// The running thread's warp.
void order_warp();

#else

inline void forget_accesses(const Block&) {}
inline void note_access(const void*, size_t, Access) {}
inline void note_access(const void*, size_t, Access, int) {}
inline void order_warps(uint32_t) {}
inline void order_warp() {}

#endif

}  // namespace nextpatch::simt
