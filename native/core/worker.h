// A thread that runs jobs in the order they came.
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

  explicit Worker(Job on_start = {});
  // Runs what was enqueued, then ends the thread.
  ~Worker();
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  // Returns at once. Jobs must not throw.
  void enqueue(Job job);

 private:
  void run();

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Job> jobs_;
  bool closing_ = false;
  Job on_start_;
  std::thread thread_;  // last: starts when all else exists
};

}  // namespace nextpatch
