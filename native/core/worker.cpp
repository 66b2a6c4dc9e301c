#include "worker.h"

#include <algorithm>
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
  {
    std::lock_guard<std::mutex> lock(mutex_);
    passed_ = enqueued_.load();
  }
  ended_.notify_all();
}

void Worker::enqueue(Job job) {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    if (closing_) return;
    jobs_.push_back(std::move(job));
    ++enqueued_;
  }
  changed_.notify_one();
}

void Worker::wait(Position position) {
  if (passed_ >= position) return;
  std::unique_lock<std::mutex> lock(mutex_);
  while (passed_ < position) {
    awaited_ = std::min(awaited_, position);
    ended_.wait(lock);
  }
}

void Worker::run() {
  std::unique_lock<std::mutex> lock(mutex_);
  for (;;) {
    changed_.wait(lock, [this] { return closing_ || !jobs_.empty(); });
    if (closing_) break;
    Job job = std::move(jobs_.front());
    jobs_.pop_front();
    lock.unlock();
    job();
    job = nullptr;  // what it owns is released before it counts as ended
    lock.lock();
    if (++passed_ < awaited_) continue;
    awaited_ = kNone;
    ended_.notify_all();
  }
  lock.unlock();
  if (last_) last_();
}

}  // namespace nextpatch
