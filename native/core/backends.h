// Finds the backend libraries that lie beside the addon and opens them when they are first asked for.
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

// "cpu", "cuda" and "simt", each opened at most once a process. Thread-safe.
const std::vector<std::string>& backend_names();
BackendStatus find_backend(const std::string& name);

}  // namespace nextpatch
