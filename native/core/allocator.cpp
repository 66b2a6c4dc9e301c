#include "allocator.h"

#include <algorithm>
#include <utility>

namespace nextpatch {
namespace {

// Sizes are rounded up so that tensors of similar size can reuse each other's blocks.
size_t rounded(size_t bytes) {
  const size_t step = bytes < (1u << 20) ? 512 : size_t(64) << 10;
  return (std::max<size_t>(bytes, 1) + step - 1) / step * step;
}

}  // namespace

Allocator::Allocator(Allocate allocate, Free free)
    : system_allocate_(std::move(allocate)), system_free_(std::move(free)) {}

Allocator::~Allocator() {
  trim_locked(UINT64_MAX);
  for (const auto& [data, size] : in_use_) system_free_(data);
}

void* Allocator::allocate(size_t bytes, Position passed) {
  const size_t size = rounded(bytes);
  std::lock_guard<std::mutex> lock(mutex_);
  void* data = nullptr;
  size_t block = size;
  // Accept a cached block up to an eighth larger than requested; more would waste memory.
  auto fit = cached_.lower_bound(size);
  if (fit != cached_.end() && fit->first <= size + size / 8) {
    block = fit->first;
    data = fit->second.data;
    cached_.erase(fit);
  } else {
    ++counters_.system_allocations;
    data = system_allocate_(size);
    if (!data && !cached_.empty()) {
      trim_locked(passed);
      data = system_allocate_(size);
    }
    if (!data) return nullptr;
    counters_.reserved_bytes += int64_t(size);
  }
  in_use_.emplace(data, block);
  counters_.used_bytes += int64_t(block);
  counters_.peak_used_bytes = std::max(counters_.peak_used_bytes, counters_.used_bytes);
  return data;
}

void Allocator::free(void* data, Position until) {
  std::lock_guard<std::mutex> lock(mutex_);
  const auto block = in_use_.find(data);
  counters_.used_bytes -= int64_t(block->second);
  cached_.emplace(block->second, Cached{data, until});
  in_use_.erase(block);
}

void Allocator::trim(Position passed) {
  std::lock_guard<std::mutex> lock(mutex_);
  trim_locked(passed);
}

void Allocator::trim_locked(Position passed) {
  for (auto block = cached_.begin(); block != cached_.end();) {
    if (block->second.until > passed) {
      ++block;
      continue;
    }
    system_free_(block->second.data);
    counters_.reserved_bytes -= int64_t(block->first);
    block = cached_.erase(block);
  }
}

AllocatorCounters Allocator::counters() const {
  std::lock_guard<std::mutex> lock(mutex_);
  return counters_;
}

}  // namespace nextpatch
