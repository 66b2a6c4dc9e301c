// A caching allocator: freed blocks are kept by size and reused, so that a training loop takes memory from the
// system in its first step only. Keeps statistics.
//
// A block may be freed while jobs of a worker still use it, if whatever its next user does with it is behind them in
// the same order. Then only the system has to wait for them, and the block is freed with the place that they end at.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <unordered_map>

#include "worker.h"

namespace nextpatch {

struct AllocatorCounters {
  int64_t used_bytes = 0;          // in live tensors
  int64_t peak_used_bytes = 0;     // the largest used_bytes so far
  int64_t reserved_bytes = 0;      // taken from the system: used and cached
  int64_t system_allocations = 0;  // calls to the system's allocator so far
};

class Allocator {
 public:
  using Allocate = std::function<void*(size_t)>;  // nullptr: out of memory
  using Free = std::function<void(void*)>;

  Allocator(Allocate allocate, Free free);
  // Returns all blocks to the system, even those in use: their users are gone.
  ~Allocator();
  Allocator(const Allocator&) = delete;
  Allocator& operator=(const Allocator&) = delete;

  // `bytes` (at least one) of memory, or nullptr if the system has not enough even after trim(passed). Thread-safe,
  // like all methods.
  void* allocate(size_t bytes, Position passed = 0);
  // `until`: the place of the last job that uses the block.
  void free(void* data, Position until = 0);
  // Returns the cached blocks to the system whose jobs have ended: those up to `passed`.
  void trim(Position passed = 0);
  AllocatorCounters counters() const;

 private:
  struct Cached {
    void* data;
    Position until;
  };
  void trim_locked(Position passed);

  mutable std::mutex mutex_;
  Allocate system_allocate_;
  Free system_free_;
  std::multimap<size_t, Cached> cached_;      // free blocks by size
  std::unordered_map<void*, size_t> in_use_;  // block -> its size
  AllocatorCounters counters_;
};

}  // namespace nextpatch
