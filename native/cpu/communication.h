// Operations on all ranks on a thread of their own, beside the queue's thread, which computes.
#pragma once

#include <condition_variable>
#include <exception>
#include <functional>
#include <mutex>

#include "../core/worker.h"
#include "../engine/host_collectives.h"

namespace nextpatch::cpu {

class HostCommunication final : public Communication {
 public:
  // Makes this process a rank.
  explicit HostCommunication(const Engine& engine);

  Collectives& all() override { return all_; }
  void enqueue(std::function<void(Collectives&)> operation, bool beside) override;
  void await(size_t left) override;

 private:
  void run(const std::function<void(Collectives&)>& operation);

  HostCollectives all_;
  std::mutex mutex_;
  std::condition_variable changed_;
  size_t running_ = 0;          // operations beside the queue that are not done
  std::exception_ptr failure_;  // the first of them; those behind it are skipped until `await` throws it
  Worker worker_;               // last: ends while all else exists
};

}  // namespace nextpatch::cpu
