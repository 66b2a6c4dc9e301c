// Finds the engines of many ranks, beside the addon and in the folders added for backends, and opens each on first use.
#pragma once

#include <string>
#include <vector>

#include "../engine/engine.h"

namespace nextpatch {

struct EngineStatus {
  const Engine* engine = nullptr;  // nullptr: missing
  std::string problem;             // why it is missing
};

// "openmpi" and "mpich".
const std::vector<std::string>& engine_names();
// Thread-safe. Opens the library, and with it the MPI that it was built for.
EngineStatus find_engine(const std::string& name);

}  // namespace nextpatch
