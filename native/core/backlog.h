// Bytes that a worker's jobs hold until they end: whoever enqueues them gives it no more than so many at a time.
#pragma once

#include <cstddef>
#include <deque>

#include "worker.h"

namespace nextpatch {

// Of one thread that enqueues.
class Backlog {
 public:
  explicit Backlog(size_t most) : most_(most) {}

  // Waits until `bytes` more fit beside what jobs still hold; more than the most fit alone.
  void make_room(Worker& worker, size_t bytes) {
    while (!jobs_.empty() && (jobs_.front().place <= worker.passed() || held_ + bytes > most_)) {
      worker.wait(jobs_.front().place);
      held_ -= jobs_.front().bytes;
      jobs_.pop_front();
    }
  }
  // The job enqueued last holds so many.
  void add(Worker& worker, size_t bytes) {
    jobs_.push_back({worker.enqueued(), bytes});
    held_ += bytes;
  }

 private:
  struct Holding {
    Position place;
    size_t bytes;
  };
  const size_t most_;
  std::deque<Holding> jobs_;
  size_t held_ = 0;
};

}  // namespace nextpatch
