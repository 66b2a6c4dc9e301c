// Finds the backend libraries, beside the addon and in added folders, and opens each on first use.
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

// "cpu", "cuda" and "simt", each opened at most once per process. All functions are thread-safe.
const std::vector<std::string>& backend_names();
BackendStatus find_backend(const std::string& name);

// A folder to look in after the addon's own and those added before. Must come before the first find_backend.
void add_backend_folder(const std::string& folder);
// The files of this name in these folders, in their order; and the text of the first of this name that a build left
// to say why it could not build a library, or none.
std::vector<std::string> library_files(const std::string& name);
std::string build_note(const std::string& name);
// A library that find_backend passes over, and why.
void exclude_library(const std::string& file, const std::string& problem);
// The problem of a backend that no folder has a library for, unless its build left a note.
void explain_missing(const std::string& name, const std::string& problem);

// The libraries that find_backend would open, in its order, the best first. It takes the first that opens and lists
// devices.
std::vector<std::string> backend_libraries(const std::string& name);
// Opens one of them. Returns what is wrong with it; nothing if it lists devices.
std::string try_library(const std::string& file);

}  // namespace nextpatch
