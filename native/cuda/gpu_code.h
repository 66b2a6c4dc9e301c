// Which of the library's code a GPU runs.
#pragma once

#include <cctype>
#include <cstdlib>
#include <sstream>
#include <string>

namespace nextpatch::cuda {

constexpr int kOldestMajor = 8;  // Ampere

// What cuda.cmake builds, which a test compares: machine code, and PTX.
constexpr const char* kMachineCode = "80 86 89 90a";
constexpr int kPtx = 90;

// Whether the driver is told to leave machine code aside, and to compile PTX instead.
inline bool ptx_is_forced() {
  const char* const value = std::getenv("CUDA_FORCE_PTX_JIT");
  return value && std::atoi(value) != 0;
}

// By compute capability, where the library has machine code for these ("80 86 90a") and PTX for `ptx`. Empty: none.
// Machine code runs on its own and on later minor versions of the same major version; with a suffix, on its own only.
// The driver compiles PTX for whatever is later. Jetson modules run no machine code but their own.
inline std::string gpu_code(int major, int minor, bool force_ptx = false, const std::string& built = kMachineCode,
                            int ptx = kPtx) {
  const int capability = 10 * major + minor;
  const bool jetson = capability == 87 || capability == 88;
  int best = 0;
  std::string code;
  std::istringstream names(force_ptx ? "" : built);
  for (std::string name; names >> name;) {
    const int own = std::stoi(name);
    const bool own_only = !std::isdigit(static_cast<unsigned char>(name.back()));
    const bool runs = own == capability || (!own_only && !jetson && own / 10 == major && own < capability);
    if (!runs || own < best) continue;
    best = own;
    code = "machine code for sm_" + name;
  }
  if (best > 0) return code;
  return capability >= ptx ? "PTX for compute_" + std::to_string(ptx) + ", which the driver compiles" : "";
}

}  // namespace nextpatch::cuda
