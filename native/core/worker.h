// A thread that runs jobs in the order they were enqueued.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>

namespace nextpatch {

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

 private:
  void run();

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Job> jobs_;
  bool closing_ = false;
  Job last_;
  std::thread thread_;  // last: starts when all else exists
};

}  // namespace nextpatch
