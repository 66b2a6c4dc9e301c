// Turns CUDA's error codes into Errors that name the operation.
#pragma once

#include <cuda_runtime.h>

#include <string>

#include "../core/error.h"

namespace nextpatch::cuda {

inline void check(cudaError_t error, const char* operation, const char* what = "failed") {
  if (error == cudaSuccess) return;
  cudaGetLastError();  // clears the error, else a later call would report it again
  throw Error(ErrorKind::device, std::string(operation) + ": " + what + ": " + cudaGetErrorString(error));
}

}  // namespace nextpatch::cuda
