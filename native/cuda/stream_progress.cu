#include "stream_progress.h"

#include <new>

#include "check.h"
#include "launch.cuh"

namespace nextpatch::cuda {
namespace {

// One thread, in one stream: no other writes to the count.
__global__ void count_operation_kernel(volatile unsigned long long* count) {
  *count = *count + 1;
  __threadfence_system();
}

void count(unsigned long long* counter, cudaStream_t stream) {
  launch<count_operation_kernel>("progress", Launch{1, 1, 0, stream}, counter);
}

}  // namespace

StreamProgress::StreamProgress() {
  void *host = nullptr, *mapped = nullptr;
  check(cudaHostAlloc(&host, sizeof(Counts), cudaHostAllocMapped), "Ranks.join", "cudaHostAlloc failed");
  if (const cudaError_t error = cudaHostGetDevicePointer(&mapped, host, 0); error != cudaSuccess) {
    cudaFreeHost(host);
    check(error, "Ranks.join", "cudaHostGetDevicePointer failed");
  }
  counts_ = new (host) Counts{};
  on_device_ = static_cast<Counts*>(mapped);
}

StreamProgress::~StreamProgress() {
  if (cudaFreeHost(const_cast<Counts*>(counts_)) != cudaSuccess) cudaGetLastError();
}

void StreamProgress::begin(cudaStream_t stream) const { count(&on_device_->begun, stream); }

void StreamProgress::end(cudaStream_t stream) const { count(&on_device_->ended, stream); }

Progress StreamProgress::seen() const {
  const unsigned long long ended = counts_->ended;  // first: one that begins meanwhile has not ended
  const unsigned long long begun = counts_->begun;
  return {begun, ended, begun != ended};
}

}  // namespace nextpatch::cuda
