// How far a stream is in the operations on all ranks. The stream itself counts them, as each begins and ends, so that
// those that graphs launch are counted too.
#pragma once

#include <cuda_runtime.h>

#include "../core/collectives.h"

namespace nextpatch::cuda {

class StreamProgress {
 public:
  // Of the current device.
  StreamProgress();
  // Once nothing is left in the stream.
  ~StreamProgress();
  StreamProgress(const StreamProgress&) = delete;
  StreamProgress& operator=(const StreamProgress&) = delete;

  // Enqueued before and after each operation.
  void begin(cudaStream_t stream) const;
  void end(cudaStream_t stream) const;

  // Any thread.
  Progress seen() const;

 private:
  struct Counts {
    unsigned long long begun, ended;
  };

  // In page-locked host memory that the device writes to, so that looking costs no copy and waits for nothing.
  volatile Counts* counts_ = nullptr;
  Counts* on_device_ = nullptr;
};

}  // namespace nextpatch::cuda
