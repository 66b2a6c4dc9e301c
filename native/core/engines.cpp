#include "engines.h"

#include <dlfcn.h>

#include <cstdlib>
#include <map>
#include <mutex>

#include "backends.h"
#include "error.h"
#include "version.h"

namespace nextpatch {
namespace {

// UCX, by which an MPI may talk, is made for programs that it has for itself. Its handlers of signals end the process
// where V8 handles the signal itself, as at an access outside WebAssembly's memory. Its hooks on brk and mmap, which it
// patches into a running process for its cache of registered memory, made MPICH's ranks crash in Node's heap: 2 of 100
// starts of 4 ranks, and none of 500 without them. Settings made by the user are kept.
void tame_ucx(const std::string& name) {
  setenv("UCX_ERROR_SIGNALS", "", 0);
  if (name == "mpich") setenv("UCX_MEM_EVENTS", "n", 0);
}

EngineStatus missing(const std::string& problem) { return {"", problem}; }

EngineStatus open_engine(const std::string& name, const std::string& file) {
  // RTLD_LOCAL: no two MPIs meet. Never closed, as their threads and handlers may outlive their last use.
  void* const library = dlopen(file.c_str(), RTLD_NOW | RTLD_LOCAL);
  // Mostly the MPI itself, which the packages do not have.
  if (!library)
    return missing(std::string(dlerror()) + "; on Debian or Ubuntu: apt-get install " +
                   (name == "openmpi" ? "openmpi-bin" : name));
  const auto entry = reinterpret_cast<const Engine* (*)()>(dlsym(library, "nextpatch_engine"));
  if (!entry) return missing(file + " exports no nextpatch_engine");
  const Engine& found = *entry();
  if (std::string(found.version) == version()) return {found.library(), "", &found};
  return missing(file + " is of version " + found.version + ", expected " + version() +
                 " as the addon: install the same version of all packages, or build again");
}

EngineStatus search(const std::string& name) {
  EngineStatus status;
  tame_ucx(name);
  for (const std::string& file : library_files("nextpatch_" + name + ".so")) {
    const EngineStatus opened = open_engine(name, file);
    if (opened.engine) return opened;
    if (status.problem.empty()) status = opened;
  }
  if (status.problem.empty()) status.problem = build_note("nextpatch_" + name + ".missing");
  if (status.problem.empty())
    status.problem = "the " + name + " engine was not built: install lib" + name + "-dev, then npx nextpatch build";
  return status;
}

// The simulated device has the place of a GPU where there is none.
EngineStatus find_nccl() {
  for (const char* name : {"cuda", "simt"}) {
    const BackendStatus found = find_backend(name);
    if (!found.backend) continue;
    try {
      return {found.backend->ranks_by(), ""};
    } catch (const Error& error) {
      return missing(error.what());
    }
  }
  return missing("it is for cuda devices, and there is none");
}

}  // namespace

const std::vector<std::string>& engine_names() {
  static const std::vector<std::string> names{"openmpi", "mpich", "nccl"};
  return names;
}

EngineStatus find_engine(const std::string& name) {
  if (name == "nccl") return find_nccl();  // may be installed meanwhile
  static std::mutex mutex;
  static std::map<std::string, EngineStatus>* const found = new std::map<std::string, EngineStatus>;
  std::lock_guard<std::mutex> lock(mutex);
  const auto known = found->find(name);
  if (known != found->end()) return known->second;
  return found->emplace(name, search(name)).first->second;
}

}  // namespace nextpatch
