// The limits that control groups (cgroups) set on this process's memory: what a container, a scheduler or systemd gives
// it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace nextpatch::cpu {

struct GroupMemory {
  std::string file;   // that sets the limit
  int64_t limit = 0;  // bytes
  // Bytes that the group and those below it use, without files' pages: the kernel drops those before it refuses memory
  // (MemAvailable leaves them out, too).
  int64_t used = 0;
};

// The groups with a limit, from the process's own up to the highest that it can see. `root` stands before every path.
std::vector<GroupMemory> group_memory(const std::string& root);

}  // namespace nextpatch::cpu
