// Host memory, as the cpu backend takes it.
#pragma once

#include <cstddef>

#include "../core/backend.h"

namespace nextpatch::cpu {

// Memory that can be had without swapping; what the control group allows where it allows less.
MemoryStatus memory_status();

// On a cache line; large blocks in huge pages where the system has them: with small ones a training step takes some
// per cent longer, for the looking up of addresses. Null where so much is not free: Linux would promise it, and kill
// the process when it is used.
void* allocate_memory(size_t bytes);
void free_memory(void* data);

}  // namespace nextpatch::cpu
