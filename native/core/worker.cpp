#include "worker.h"

#include <utility>

namespace nextpatch {

Worker::Worker() : thread_([this] { run(); }) {}

Worker::~Worker() { close(); }

void Worker::close(Job last) {
  std::deque<Job> dropped;  // destroyed without the lock: destroying a job may enqueue
  {
    std::lock_guard<std::mutex> lock(mutex_);
    if (!closing_) last_ = std::move(last);
    closing_ = true;
    dropped.swap(jobs_);
  }
  changed_.notify_one();
  if (thread_.joinable()) thread_.join();
}

void Worker::enqueue(Job job) {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    if (closing_) return;
    jobs_.push_back(std::move(job));
  }
  changed_.notify_one();
}

void Worker::run() {
  for (;;) {
    Job job;
    {
      std::unique_lock<std::mutex> lock(mutex_);
      changed_.wait(lock, [this] { return closing_ || !jobs_.empty(); });
      if (closing_) break;
      job = std::move(jobs_.front());
      jobs_.pop_front();
    }
    job();
  }
  if (last_) last_();
}

}  // namespace nextpatch
