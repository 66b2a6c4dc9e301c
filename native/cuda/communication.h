// Operations on all ranks in a stream of their own, beside the one that computes, forked from it and joined to it by
// events. May be captured: a graph has the same forks and joins.
#pragma once

#include <cuda_runtime.h>

#include <deque>
#include <functional>
#include <memory>
#include <vector>

#include "../core/collectives.h"

namespace nextpatch::cuda {

class StreamCommunication final : public Communication {
 public:
  // open: makes the operations, which go to the stream that it is given.
  StreamCommunication(cudaStream_t computing,
                      const std::function<std::unique_ptr<Collectives>(cudaStream_t communicating)>& open);
  ~StreamCommunication() override;

  Collectives& all() override { return *owned_.all; }
  void enqueue(std::function<void(Collectives&)> operation, bool beside) override;
  void await(size_t left) override;

 private:
  // Freed in one place, also if opening fails half-way.
  struct Owned {
    ~Owned();
    cudaStream_t stream = nullptr;
    cudaEvent_t forked = nullptr;
    std::vector<cudaEvent_t> events;
    std::unique_ptr<Collectives> all;
  };

  cudaStream_t computing_;
  Owned owned_;
  std::vector<cudaEvent_t> free_;      // of owned_.events
  std::deque<cudaEvent_t> running_;  // the ends of operations that the computing has not waited for
};

}  // namespace nextpatch::cuda
