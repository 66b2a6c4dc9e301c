#include "communication.h"

#include <omp.h>

#include <utility>

namespace nextpatch::cpu {

HostCommunication::HostCommunication(const Engine& engine) : all_(engine) {
  // The queue's thread has all others for its computing.
  worker_.enqueue([] { omp_set_num_threads(1); });
}

void HostCommunication::enqueue(std::function<void(Collectives&)> operation, bool beside) {
  if (!beside) {
    await(0);  // so that two threads never call the engine at once
    operation(all_);
    return;
  }
  {
    std::lock_guard<std::mutex> lock(mutex_);
    ++running_;
  }
  worker_.enqueue([this, operation = std::move(operation)] { run(operation); });
}

void HostCommunication::run(const std::function<void(Collectives&)>& operation) {
  std::exception_ptr failure;
  {
    std::lock_guard<std::mutex> lock(mutex_);
    failure = failure_;
  }
  try {
    if (!failure) operation(all_);
  } catch (...) {
    failure = std::current_exception();
  }
  std::lock_guard<std::mutex> lock(mutex_);
  failure_ = failure;
  --running_;
  changed_.notify_all();
}

void HostCommunication::await(size_t left) {
  std::unique_lock<std::mutex> lock(mutex_);
  changed_.wait(lock, [&] { return running_ <= left || failure_; });
  if (!failure_) return;
  // Those behind it are skipped on every rank, however far each has come.
  changed_.wait(lock, [&] { return running_ == 0; });
  std::rethrow_exception(std::exchange(failure_, nullptr));
}

}  // namespace nextpatch::cpu
