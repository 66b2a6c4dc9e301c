// Host memory of the cpu backend.
#pragma once

#include <cstddef>

#include "../core/backend.h"

namespace nextpatch::cpu {

// The machine's memory, or the tightest limit on it, and what can still be allocated.
MemoryStatus memory_status();

// Aligned to a cache line; large blocks use huge pages if the system has them: with small pages a training step takes
// some per cent longer, because of TLB misses. Null if not enough is free beside what is allocated already, written or
// not: Linux would overcommit, and kill the process when the memory is used. Any thread.
void* allocate_memory(size_t bytes);
void free_memory(void* data);

}  // namespace nextpatch::cpu
