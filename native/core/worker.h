// A thread that runs jobs in the order they were enqueued.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>

namespace nextpatch {

// A place in a worker's order of jobs: how many come before it.
using Position = uint64_t;

class Worker {
 public:
  using Job = std::function<void()>;

  Worker();
  ~Worker();
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  // Returns at once. Jobs must not throw. After close() a job is dropped.
  void enqueue(Job job);

  // Drops the jobs that have not begun, waits for the one that is running, runs `last` if there is one, and ends the
  // thread. Must not be called from a job.
  void close(Job last = nullptr);

  // The place behind the jobs enqueued so far, and behind those that have ended. After close() the same.
  Position enqueued() const { return enqueued_; }
  Position passed() const { return passed_; }
  // Waits until so many jobs have ended. Must not be called from a job.
  void wait(Position position);

 private:
  void run();

  std::mutex mutex_;
  std::condition_variable changed_;
  std::condition_variable ended_;
  std::deque<Job> jobs_;
  bool closing_ = false;
  std::atomic<Position> enqueued_{0}, passed_{0};  // written under the mutex
  static constexpr Position kNone = UINT64_MAX;
  Position awaited_ = kNone;  // the first that wait() waits for
  Job last_;
  std::thread thread_;  // last: starts when all else exists
};

}  // namespace nextpatch
