// Finds NVIDIA's libraries at run time: no build needs them, and no binary carries a path of the machine that built it.
#pragma once

#include <string>
#include <vector>

namespace nextpatch::cuda {

// Opens `file`: the one that the variable names (the library or its folder), else what the system's loader knows, else
// the toolkit's and those of NVIDIA's Python packages, in their folders nvidia/PACKAGE/lib. nullptr: `tried` says what
// the loader said.
void* find_library(const char* variable, const std::string& file, const std::vector<std::string>& packages,
                   std::string* tried);

// The major version of the CUDA runtime, as the libraries' names have it.
std::string cuda_major();

}  // namespace nextpatch::cuda
