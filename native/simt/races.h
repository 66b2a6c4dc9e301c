// Races in shared memory, found by what CUDA promises and not by what happened: of two accesses by different threads,
// one of them a write, a barrier (__syncthreads, bar.sync, or __syncwarp within a warp) must lie between. Shuffles,
// votes and products on tensor cores order nothing. Only a build with NEXTPATCH_RACES reports the kernels' accesses; in
// any other these functions are empty.
#pragma once

#include <cstddef>
#include <cstdint>

namespace nextpatch::simt {

struct Block;

enum class Access : uint8_t { read, write, atomic };

#if NEXTPATCH_RACES

// A block begins, its shared memory unread and unwritten; the last block of a launch has ended.
void watch_block(const Block& block);
void watch_no_block();

// By the running thread, or by a lane of its warp. A race stops the kernel. Memory that is not shared is ignored.
void note_access(const void* address, size_t bytes, Access access);
void note_access(const void* address, size_t bytes, Access access, int lane);

// What these warps (a bit each) did comes before what any of them does from here on.
void order_warps(uint32_t warps);
// The running thread's warp.
void order_warp();

#else

inline void watch_block(const Block&) {}
inline void watch_no_block() {}
inline void note_access(const void*, size_t, Access) {}
inline void note_access(const void*, size_t, Access, int) {}
inline void order_warps(uint32_t) {}
inline void order_warp() {}

#endif

}  // namespace nextpatch::simt
