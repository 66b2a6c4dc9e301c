#include "history.h"

#include <algorithm>
#include <cstring>

namespace nextpatch {

void History::add(const char* name) {
  std::lock_guard<std::mutex> lock(mutex_);
  // From the back: those of the current epoch, of which each name is kept once.
  for (auto entry = entries_.rbegin(); entry != entries_.rend() && entry->epoch == epoch_; ++entry)
    if (entry->name == name) return;
  entries_.push_back({name, epoch_});
}

Epoch History::close_epoch() {
  std::lock_guard<std::mutex> lock(mutex_);
  return epoch_++;
}

void History::finished(Epoch epoch) {
  std::lock_guard<std::mutex> lock(mutex_);
  while (!entries_.empty() && entries_.front().epoch <= epoch) entries_.pop_front();
}

std::string History::unfinished() const {
  std::lock_guard<std::mutex> lock(mutex_);
  std::string names;
  for (auto entry = entries_.begin(); entry != entries_.end(); ++entry) {
    const auto same = [&](const Entry& other) { return std::strcmp(other.name, entry->name) == 0; };
    if (std::any_of(entries_.begin(), entry, same)) continue;
    names += (names.empty() ? "" : ", ") + std::string(entry->name);
  }
  return names;
}

}  // namespace nextpatch
