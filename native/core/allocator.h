// A caching allocator: freed blocks are kept by size and handed out again, so that a training loop asks the
// system for memory in its first step only. Counts what it does.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <unordered_map>

namespace nextpatch {

struct AllocatorCounters {
  int64_t used_bytes = 0;          // in tensors that are alive
  int64_t peak_used_bytes = 0;     // the most used_bytes has been
  int64_t reserved_bytes = 0;      // taken from the system: used and cached
  int64_t system_allocations = 0;  // calls to the system's allocator so far
};

class Allocator {
 public:
  using Allocate = std::function<void*(size_t)>;  // nullptr: not enough memory
  using Free = std::function<void(void*)>;

  Allocator(Allocate allocate, Free free);
  // Gives all blocks back, those in use too: their users are gone.
  ~Allocator();
  Allocator(const Allocator&) = delete;
  Allocator& operator=(const Allocator&) = delete;

  // Memory for `bytes` (at least one), or nullptr where the system has not enough even after the cache has
  // been given back. Safe from any thread, like all methods.
  void* allocate(size_t bytes);
  void free(void* data);
  // Gives the cached blocks back to the system.
  void trim();
  AllocatorCounters counters() const;

 private:
  void trim_locked();

  mutable std::mutex mutex_;
  Allocate system_allocate_;
  Free system_free_;
  std::multimap<size_t, void*> cached_;       // free blocks by size
  std::unordered_map<void*, size_t> in_use_;  // block -> its size
  AllocatorCounters counters_;
};

}  // namespace nextpatch
