// Turns CUDA's error codes into Errors that name the operation.
#pragma once

#include <cuda_runtime.h>

#include <string>

#include "../core/error.h"

namespace nextpatch::cuda {

// Errors of a kernel that ran before the call that returns them, after which every call of the process fails: from
// cudaErrorIllegalAddress (700) to cudaErrorLaunchFailure (719), but for two that refuse a launch and no more.
inline bool loses_device(cudaError_t error) {
  constexpr int kFirst = 700, kOutOfResources = 701, kIncompatibleTexturing = 703, kLast = 719;
  return error >= kFirst && error <= kLast && error != kOutOfResources && error != kIncompatibleTexturing;
}

inline void check(cudaError_t error, const char* operation, const char* what = "failed") {
  if (error == cudaSuccess) return;
  cudaGetLastError();  // clears the error, else a later call would report it again
  if (loses_device(error)) {
    // Not this operation's fault: it is only the first to receive the error.
    Error lost(ErrorKind::device, cudaGetErrorString(error));
    lost.device_lost = true;
    throw lost;
  }
  throw Error(ErrorKind::device, std::string(operation) + ": " + what + ": " + cudaGetErrorString(error));
}

}  // namespace nextpatch::cuda
