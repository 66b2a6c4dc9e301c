// A second stream for products that nothing waits for yet: gradients of weights run there beside the operations that
// carry the gradient on. It has the lower priority, so it fills what the first stream leaves idle: the last wave of a
// product, and kernels that wait for memory.
#pragma once

#include <cuda_runtime.h>

#include <array>

namespace nextpatch::cuda {

// All calls come from the device's queue thread. During a capture the two streams become branches of the graph.
class SideStream {
 public:
  // Everything stays on `main` if NEXTPATCH_SIDE_STREAM=0.
  explicit SideStream(cudaStream_t main);
  ~SideStream();
  SideStream(const SideStream&) = delete;

  // The stream for work that comes after all that `main` has now; `main` itself if there is no second one.
  cudaStream_t fork();
  // Remembers that the work enqueued last writes to `result`.
  void finish(const void* result);
  // Makes `main` wait for the last work that writes to `result`, and for what came before it.
  void join(const void* result);
  // The same for all work.
  void join_all();

 private:
  struct Pending {
    const void* result = nullptr;
    cudaEvent_t done = nullptr;
  };
  SideStream() = default;
  void join_slot(size_t index);

  cudaStream_t main_ = nullptr, side_ = nullptr;
  cudaEvent_t forked_ = nullptr;
  std::array<Pending, 8> pending_;  // the oldest is at next_
  size_t next_ = 0;
};

}  // namespace nextpatch::cuda
