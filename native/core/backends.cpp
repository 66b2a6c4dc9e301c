#include "backends.h"

#include <dlfcn.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <mutex>

namespace nextpatch {
namespace {

namespace fs = std::filesystem;

fs::path addon_folder() {
  Dl_info info;
  dladdr(reinterpret_cast<void*>(&addon_folder), &info);
  return fs::absolute(info.dli_fname).parent_path();
}

// GNU OpenMP reads its settings when it is loaded, together with the first CPU library. By default a waiting thread
// spins for milliseconds. If another process holds a core, the thread that is waited for then cannot move to the
// core of the spinning one. Sleeping early costs microseconds on an idle machine and is several times faster on a
// busy one. Settings made by the user are kept.
void let_waiting_threads_sleep() {
  if (!std::getenv("OMP_WAIT_POLICY")) setenv("GOMP_SPINCOUNT", "1000", 0);
}

// The instruction sets of the CPU libraries that this processor supports, best first.
std::vector<std::string> instruction_sets() {
  // For testing the slower paths on a processor that supports the faster ones.
  if (const char* forced = std::getenv("NEXTPATCH_CPU_ISA")) return {forced};
  std::vector<std::string> sets;
#if defined(__x86_64__)
  __builtin_cpu_init();
  if (__builtin_cpu_supports("avx512bf16") && __builtin_cpu_supports("avx512vl") &&
      __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
      __builtin_cpu_supports("avx512vnni")) {
    sets.push_back("avx512_bf16");
  }
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) sets.push_back("avx2");
#endif
  sets.push_back("baseline");
  return sets;
}

BackendStatus open_library(const std::string& name, const fs::path& file) {
  BackendStatus status;
  status.name = name;
  if (!fs::exists(file)) {
    // The build writes this file if it could not build a backend.
    std::ifstream note(fs::path(file).replace_extension(".missing"));
    std::string reason((std::istreambuf_iterator<char>(note)), std::istreambuf_iterator<char>());
    while (!reason.empty() && (reason.back() == '\n' || reason.back() == ' ')) reason.pop_back();
    status.problem = reason.empty() ? file.filename().string() + " was not built" : reason;
    return status;
  }
  // Never closed: the libraries' threads and statics live as long as the process.
  void* library = dlopen(file.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!library) {
    status.problem = dlerror();
    return status;
  }
  auto entry = reinterpret_cast<Backend* (*)()>(dlsym(library, "nextpatch_backend"));
  if (!entry) {
    status.problem = file.string() + " exports no nextpatch_backend";
    return status;
  }
  status.backend = entry();
  return status;
}

}  // namespace

const std::vector<std::string>& backend_names() {
  static const std::vector<std::string> names{"cpu", "cuda", "simt"};
  return names;
}

BackendStatus find_backend(const std::string& name) {
  static std::mutex mutex;
  static std::map<std::string, BackendStatus> opened;
  std::lock_guard<std::mutex> lock(mutex);
  const auto known = opened.find(name);
  if (known != opened.end()) return known->second;
  BackendStatus status;
  if (name == "cpu") {
    let_waiting_threads_sleep();
    for (const std::string& isa : instruction_sets()) {
      status = open_library(name, addon_folder() / ("nextpatch_cpu_" + isa + ".so"));
      if (status.backend) break;
    }
  } else {
    status = open_library(name, addon_folder() / ("nextpatch_" + name + ".so"));
  }
  opened.emplace(name, status);
  return status;
}

}  // namespace nextpatch
