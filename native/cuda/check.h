// Turns CUDA's error codes into Errors that name the operation.
#pragma once

#include <cuda_runtime.h>

#include <string>

#include "../core/error.h"

namespace nextpatch::cuda {

// Whether every later call of the process fails too. These are errors of a kernel that ran before the call that returns
// them (CUDA Runtime API, cudaError_t: "the process must be terminated and relaunched"), and of broken memory. By
// number, since not every version of the header has every name.
inline bool loses_device(cudaError_t error) {
  switch (int(error)) {
    case 214:  // cudaErrorECCUncorrectable
    case 220:  // cudaErrorNvlinkUncorrectable
    case 700:  // cudaErrorIllegalAddress
    case 702:  // cudaErrorLaunchTimeout
    case 710:  // cudaErrorAssert
    case 714:  // cudaErrorHardwareStackError
    case 715:  // cudaErrorIllegalInstruction
    case 716:  // cudaErrorMisalignedAddress
    case 717:  // cudaErrorInvalidAddressSpace
    case 718:  // cudaErrorInvalidPc
    case 719:  // cudaErrorLaunchFailure
    case 721:  // cudaErrorContained
    case 723:  // cudaErrorTensorMemoryLeak
      return true;
    default:
      return false;
  }
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
