// Finds the backend libraries next to the addon and opens each on first use.
#pragma once

#include <string>
#include <vector>

#include "backend.h"

namespace nextpatch {

struct BackendStatus {
  std::string name;
  Backend* backend = nullptr;  // nullptr: missing
  std::string problem;         // why it is missing
};

// "cpu", "cuda" and "simt", each opened at most once per process. Thread-safe.
const std::vector<std::string>& backend_names();
BackendStatus find_backend(const std::string& name);

}  // namespace nextpatch
