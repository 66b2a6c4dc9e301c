// Which of the library's code a GPU runs.
#pragma once

#include <string>

namespace nextpatch::cuda {

constexpr int kOldestMajor = 8;  // Ampere

// By compute capability, from what cuda.cmake builds; empty: none. Machine code runs on later GPUs of the same major
// version, that with a suffix on its own version only.
inline std::string gpu_code(int major, int minor) {
  if (major < kOldestMajor) return "";
  if (major == 8) return "machine code for sm_80";
  if (major == 9 && minor == 0) return "machine code for sm_90a";
  return "PTX for compute_90, compiled by the driver";
}

}  // namespace nextpatch::cuda
