// Finds the engines of many ranks, beside the addon and in the folders added for backends, and NCCL, which the backend
// of its devices finds. Opens each on first use.
#pragma once

#include <string>
#include <vector>

#include "../engine/engine.h"

namespace nextpatch {

struct EngineStatus {
  std::string library;             // with its version: "Open MPI 4.1.4"; empty: missing
  std::string problem;             // why it is missing
  const Engine* engine = nullptr;  // nullptr: the device's backend has it
};

// "openmpi", "mpich" and "nccl".
const std::vector<std::string>& engine_names();
// Thread-safe. Opens the library, and with it the MPI that it was built for.
EngineStatus find_engine(const std::string& name);

}  // namespace nextpatch
