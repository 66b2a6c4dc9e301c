#include "host_memory.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <limits>
#include <mutex>
#include <unordered_map>
#include <vector>

#include "memory_limits.h"

namespace nextpatch::cpu {
namespace {

constexpr size_t kCacheLine = 64;
constexpr size_t kHugePage = size_t(2) << 20;

// So much is given out before the kernel's files are read again: small tensors cost no file.
constexpr int64_t kUnread = int64_t(64) << 20;

// Bytes of a block in pages that are in memory. Only whole pages are asked for: those at the ends are shared with other
// blocks, and written by malloc.
int64_t resident_in(const char* data, size_t bytes, std::vector<unsigned char>& states) {
  static const size_t page = size_t(sysconf(_SC_PAGESIZE));
  const size_t begin = (size_t(data) + page - 1) / page * page, end = (size_t(data) + bytes) / page * page;
  if (begin >= end) return int64_t(bytes);
  int64_t absent = 0;
  for (size_t at = begin; at < end; at += states.size() * page) {
    const size_t length = std::min(end - at, states.size() * page);
    if (mincore(reinterpret_cast<void*>(at), length, states.data()) != 0) return int64_t(bytes);  // unknown
    const auto last = states.begin() + int64_t(length / page);
    absent += int64_t(page) * std::count_if(states.begin(), last, [](unsigned char state) { return (state & 1) == 0; });
  }
  return int64_t(bytes) - absent;
}

// What this process has allocated. A page takes memory when it is first written, so what the kernel calls free is
// promised in part: to blocks that have not been written yet. What can be given out is
//
//     free - promised,   promised = the blocks' bytes - those of them that are in memory
//
// A page is counted once: before it is written in `promised`, afterwards in what the kernel counts as used. `promised`
// is read first: a page that is written between the two reads is counted twice, which errs towards refusing, by what a
// thread can write in that moment. mincore says which pages are there. Where it does not (gVisor says "all"), no more
// can be there than the process has in memory.
class Account {
 public:
  // Whether `bytes` more can be given out.
  bool admits(int64_t bytes) {
    if (bytes <= unread_) return true;
    unread_ = std::min(kUnread, status().free_bytes);
    return bytes <= unread_ || bytes <= status_.free_bytes;
  }

  void add(void* data, size_t bytes) {
    blocks_.emplace(data, bytes);
    // Beyond what the files are known to allow, they are read at the next call.
    unread_ = std::max<int64_t>(0, unread_ - int64_t(bytes));
  }

  void remove(void* data) { blocks_.erase(data); }

  const MemoryStatus& status() {
    const int64_t promised = unwritten();
    status_ = {std::numeric_limits<int64_t>::max(), std::numeric_limits<int64_t>::max(), ""};
    for (const MemoryLimit& limit : memory_limits()) {
      const int64_t free = std::max<int64_t>(0, limit.free_bytes - (limit.counts_reserved ? 0 : promised));
      status_.total_bytes = std::min(status_.total_bytes, limit.total_bytes);
      if (free >= status_.free_bytes) continue;
      status_.free_bytes = free;
      status_.limited_by = limit.source;
    }
    return status_;
  }

 private:
  int64_t unwritten() const {
    int64_t bytes = 0, resident = 0;
    std::vector<unsigned char> states(1 << 16);  // a page each, at a time
    for (const auto& [data, size] : blocks_) {
      bytes += int64_t(size);
      resident += resident_in(static_cast<const char*>(data), size, states);
    }
    return bytes - std::min(resident, resident_bytes());
  }

  std::unordered_map<void*, size_t> blocks_;
  MemoryStatus status_;
  int64_t unread_ = 0;  // what may be given out before the files are read again
};

std::mutex mutex;  // of the account

Account& account() {
  static Account& instance = *new Account;  // never destroyed: devices free their memory while the process ends
  return instance;
}

}  // namespace

MemoryStatus memory_status() {
  const std::lock_guard<std::mutex> lock(mutex);
  return account().status();
}

void* allocate_memory(size_t bytes) {
  const std::lock_guard<std::mutex> lock(mutex);
  if (bytes > size_t(std::numeric_limits<int64_t>::max()) || !account().admits(int64_t(bytes))) return nullptr;
  const size_t whole_pages = bytes / kHugePage * kHugePage;
  void* data = nullptr;
  if (posix_memalign(&data, whole_pages == 0 ? kCacheLine : kHugePage, bytes) != 0) return nullptr;
  if (whole_pages > 0) madvise(data, whole_pages, MADV_HUGEPAGE);  // only a hint: may fail
  account().add(data, bytes);
  return data;
}

void free_memory(void* data) {
  const std::lock_guard<std::mutex> lock(mutex);
  account().remove(data);
  std::free(data);
}

}  // namespace nextpatch::cpu
