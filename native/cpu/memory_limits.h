// What the system says of memory: how much there is, and how much of it this process can still fill. Read from the
// files of the kernel.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace nextpatch::cpu {

struct MemoryLimit {
  std::string source;       // what a message calls it: the file, and whose limit it is
  int64_t total_bytes = 0;  // of the machine, or of the limit
  int64_t free_bytes = 0;   // not negative
  // Whether free_bytes falls as soon as memory is reserved, not only when it is written.
  bool counts_reserved = false;
};

// The machine's memory, and every limit that holds for this process: those of its control group (cgroup v2 or v1) and
// of all groups above, and of its address space. `root` stands before every path: a test has a folder that looks like a
// machine.
std::vector<MemoryLimit> memory_limits(const std::string& root = "");

// Bytes of this process that are in memory; 0 if unknown.
int64_t resident_bytes(const std::string& root = "");

}  // namespace nextpatch::cpu
