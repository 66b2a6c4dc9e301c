// Ids outside the vocabulary: recorded by any thread, reported after all threads are done.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>

#include "../core/error.h"

namespace nextpatch::cpu {

inline bool in_vocabulary(int32_t id, int64_t vocabulary) { return id >= 0 && id < vocabulary; }

class BadIds {
 public:
  // From any thread, in any order: the lowest index is reported.
  void found(int64_t index) {
    int64_t first = first_.load(std::memory_order_relaxed);
    while (index < first && !first_.compare_exchange_weak(first, index, std::memory_order_relaxed)) {
    }
  }

  // Throws if there was one. `what` names the ids: "token id", "label".
  void report(const char* what, const int32_t* ids, int64_t vocabulary) const {
    const int64_t first = first_.load(std::memory_order_relaxed);
    if (first == INT64_MAX) return;
    throw Error(ErrorKind::range, std::string(what) + " " + std::to_string(ids[first]) + " at index " +
                                      std::to_string(first) + " is outside the vocabulary of " +
                                      std::to_string(vocabulary));
  }

 private:
  std::atomic<int64_t> first_{INT64_MAX};
};

}  // namespace nextpatch::cpu
