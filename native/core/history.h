// The operations of a device whose end nobody has seen yet: where one of them makes the device fail, a later call
// hears of it, which must not be blamed.
#pragma once

#include <cstdint>
#include <deque>
#include <mutex>
#include <string>

namespace nextpatch {

// Counts the waits of a device: everything issued before the n-th is over when it ends.
using Epoch = uint64_t;

// Safe from any thread.
class History {
 public:
  // An operation is issued. `name` lives as long as the process.
  void add(const char* name);

  // A wait is issued behind all operations so far.
  Epoch close_epoch();

  // That wait has ended well.
  void finished(Epoch epoch);

  // The names of the operations that may still run, the earliest first, each once, separated by commas.
  std::string unfinished() const;

 private:
  struct Entry {
    const char* name;
    Epoch epoch;
  };
  mutable std::mutex mutex_;
  std::deque<Entry> entries_;
  Epoch epoch_ = 0;
};

}  // namespace nextpatch
