#include "memory_limits.h"

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <map>
#include <sstream>
#include <utility>

#include "control_groups.h"

namespace nextpatch::cpu {
namespace {

struct Pages {
  int64_t size = 0, resident = 0;  // in bytes
};

Pages own_pages(const std::string& root) {
  Pages pages;
  std::ifstream file(root + "/proc/self/statm");
  file >> pages.size >> pages.resident;
  const int64_t page = sysconf(_SC_PAGESIZE);
  return {pages.size * page, pages.resident * page};
}

// /proc/meminfo, in bytes.
std::map<std::string, int64_t> read_meminfo(const std::string& root) {
  std::map<std::string, int64_t> found;
  std::ifstream file(root + "/proc/meminfo");
  std::string line, key;
  while (std::getline(file, line)) {
    int64_t kib = 0;
    if (std::istringstream(line) >> key >> kib) found[key] = kib * 1024;
  }
  return found;
}

void add(std::vector<MemoryLimit>& limits, std::string source, int64_t total, int64_t used, bool counts_reserved) {
  limits.push_back({std::move(source), total, std::max<int64_t>(0, total - used), counts_reserved});
}

}  // namespace

int64_t resident_bytes(const std::string& root) { return own_pages(root).resident; }

std::vector<MemoryLimit> memory_limits(const std::string& root) {
  std::vector<MemoryLimit> limits;
  auto meminfo = read_meminfo(root);
  const int64_t total = meminfo["MemTotal:"];
  add(limits, "MemAvailable in /proc/meminfo", total, total - meminfo["MemAvailable:"], false);

  for (const GroupMemory& group : group_memory(root))
    add(limits, "the control group's limit in " + group.file, group.limit, group.used, false);

  // With strict accounting the kernel refuses what would exceed this, written or not.
  int overcommit = 0;
  if (std::ifstream(root + "/proc/sys/vm/overcommit_memory") >> overcommit && overcommit == 2)
    add(limits, "CommitLimit in /proc/meminfo, as vm.overcommit_memory is 2", meminfo["CommitLimit:"],
        meminfo["Committed_AS:"], true);

  rlimit address_space{};
  if (getrlimit(RLIMIT_AS, &address_space) == 0 && address_space.rlim_cur != RLIM_INFINITY)
    add(limits, "the limit of the process's address space, ulimit -v", int64_t(address_space.rlim_cur),
        own_pages(root).size, true);
  return limits;
}

}  // namespace nextpatch::cpu
