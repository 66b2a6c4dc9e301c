// Host memory of the cpu backend.
#pragma once

#include <cstddef>

#include "../core/backend.h"

namespace nextpatch::cpu {

// Memory available without swapping, or the control group's limit if that is lower.
MemoryStatus memory_status();

// Aligned to a cache line; large blocks use huge pages if the system has them: with small pages a training step takes
// some per cent longer, because of TLB misses. Null if not enough is free: Linux would overcommit, and kill the
// process when the memory is used.
void* allocate_memory(size_t bytes);
void free_memory(void* data);

}  // namespace nextpatch::cpu
