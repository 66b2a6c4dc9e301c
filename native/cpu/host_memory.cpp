#include "host_memory.h"

#include <sys/mman.h>

#include <cstdlib>
#include <fstream>
#include <string>

namespace nextpatch::cpu {
namespace {

constexpr size_t kCacheLine = 64;
constexpr size_t kHugePage = size_t(2) << 20;

}  // namespace

MemoryStatus memory_status() {
  MemoryStatus status;
  std::ifstream meminfo("/proc/meminfo");
  std::string key, unit;
  int64_t kib = 0;
  while (meminfo >> key >> kib) {
    if (key == "MemTotal:") status.total_bytes = kib * 1024;
    if (key == "MemAvailable:") status.free_bytes = kib * 1024;
    std::getline(meminfo, unit);
  }
  int64_t limit = 0, used = 0;
  std::ifstream limit_file("/sys/fs/cgroup/memory.max"), used_file("/sys/fs/cgroup/memory.current");
  if (limit_file >> limit && used_file >> used && limit < status.total_bytes) {
    status.total_bytes = limit;
    if (limit - used < status.free_bytes) status.free_bytes = limit > used ? limit - used : 0;
  }
  return status;
}

void* allocate_memory(size_t bytes) {
  if (int64_t(bytes) > memory_status().free_bytes) return nullptr;
  const size_t whole_pages = bytes / kHugePage * kHugePage;
  void* data = nullptr;
  if (posix_memalign(&data, whole_pages == 0 ? kCacheLine : kHugePage, bytes) != 0) return nullptr;
  if (whole_pages > 0) madvise(data, whole_pages, MADV_HUGEPAGE);  // only a hint: may fail
  return data;
}

void free_memory(void* data) { std::free(data); }

}  // namespace nextpatch::cpu
