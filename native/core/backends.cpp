#include "backends.h"

#include <dlfcn.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <mutex>
#include <system_error>

#include "version.h"

namespace nextpatch {
namespace {

namespace fs = std::filesystem;

fs::path addon_folder() {
  Dl_info info;
  dladdr(reinterpret_cast<void*>(&addon_folder), &info);
  return fs::absolute(info.dli_fname).parent_path();
}

// An opened library, or why it cannot be used.
struct Library {
  Backend* backend = nullptr;
  std::string problem;
};

// What the process knows of backends, under one lock.
struct Known {
  std::mutex mutex;
  std::vector<fs::path> folders{addon_folder()};
  std::map<std::string, Library> libraries;         // by file, those that were excluded too
  std::map<std::string, std::string> explanations;  // by backend
  std::map<std::string, BackendStatus> backends;
};

Known& known() {
  static Known* const known = new Known;  // never destroyed, as the libraries are never closed
  return *known;
}

// GNU OpenMP reads its settings when it is loaded, together with the first CPU library. By default a waiting thread
// spins for milliseconds. If another process holds a core, the thread that is waited for then cannot move to the
// core of the spinning one. Sleeping early costs microseconds on an idle machine and is several times faster on a
// busy one. Settings made by the user are kept.
void let_waiting_threads_sleep() {
  if (!std::getenv("OMP_WAIT_POLICY")) setenv("GOMP_SPINCOUNT", "1000", 0);
}

struct InstructionSet {
  const char* name;
  bool supported;  // by this processor
};

// The instruction sets that there are CPU libraries for, best first.
std::vector<InstructionSet> instruction_sets() {
  std::vector<InstructionSet> sets;
#if defined(__x86_64__)
  __builtin_cpu_init();
  sets.push_back({"avx512_bf16", __builtin_cpu_supports("avx512bf16") && __builtin_cpu_supports("avx512vl") &&
                                     __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
                                     __builtin_cpu_supports("avx512vnni")});
  sets.push_back({"avx2", __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")});
#endif
  sets.push_back({"baseline", true});
  return sets;
}

// The files that a backend may have, best first; `problem`: why there are none.
std::vector<std::string> file_names(const std::string& name, std::string& problem) {
  if (name != "cpu") return {"nextpatch_" + name + ".so"};
  // For testing the slower paths on a processor that supports the faster ones.
  const char* const forced = std::getenv("NEXTPATCH_CPU_ISA");
  std::vector<std::string> names;
  std::string choices;
  for (const auto& [set, supported] : instruction_sets()) {
    if (!supported) continue;
    choices += (choices.empty() ? "" : ", ") + std::string(set);
    if (!forced || !*forced || std::string(forced) == set) {
      names.push_back("nextpatch_cpu_" + std::string(set) + ".so");
    }
  }
  if (names.empty()) {
    problem = "NEXTPATCH_CPU_ISA: expected an instruction set that this processor has (" + choices +
              ") but received \"" + forced + "\"";
  }
  return names;
}

// Under the lock.
std::vector<fs::path> in_folders(const std::vector<std::string>& names) {
  std::vector<fs::path> files;
  for (const fs::path& folder : known().folders) {
    for (const std::string& file : names) {
      std::error_code unusable;  // a folder that cannot be looked into holds none
      if (fs::exists(folder / file, unusable)) files.push_back(folder / file);
    }
  }
  return files;
}

std::vector<fs::path> existing_files(const std::string& name, std::string& problem) {
  return in_folders(file_names(name, problem));
}

// The build writes a file if it could not build a library. Under the lock.
std::string text_of_note(const std::string& file) {
  for (const fs::path& folder : known().folders) {
    std::ifstream note(folder / file);
    std::string reason((std::istreambuf_iterator<char>(note)), std::istreambuf_iterator<char>());
    while (!reason.empty() && (reason.back() == '\n' || reason.back() == ' ')) reason.pop_back();
    if (!reason.empty()) return reason;
  }
  return "";
}

std::string note_of(const std::string& name) {
  return text_of_note(name == "cpu" ? "nextpatch_cpu_baseline.missing" : "nextpatch_" + name + ".missing");
}

Library open_library(const fs::path& file) {
  // Never closed: the libraries' threads and statics live as long as the process.
  void* const library = dlopen(file.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!library) return {nullptr, dlerror()};
  const auto entry = reinterpret_cast<const BackendEntry* (*)()>(dlsym(library, "nextpatch_backend"));
  if (!entry) return {nullptr, file.string() + " exports no nextpatch_backend"};
  const BackendEntry& found = *entry();
  if (std::string(found.version) != version()) {
    return {nullptr, file.string() + " is of version " + found.version + ", expected " + version() +
                         " as the addon: install the same version of all packages, or build again"};
  }
  return {found.backend, ""};
}

const Library& opened(const fs::path& file) {
  const auto found = known().libraries.find(file.string());
  if (found != known().libraries.end()) return found->second;
  if (file.filename().string().rfind("nextpatch_cpu_", 0) == 0) let_waiting_threads_sleep();
  return known().libraries.emplace(file.string(), open_library(file)).first->second;
}

std::string device_problem(Backend& backend) {
  try {
    backend.devices();
    return "";
  } catch (const std::exception& error) {
    return error.what();
  }
}

BackendStatus search(const std::string& name) {
  BackendStatus status{name, nullptr, ""};
  for (const fs::path& file : existing_files(name, status.problem)) {
    const Library& library = opened(file);
    if (!library.backend) {
      if (status.problem.empty()) status.problem = library.problem;
      continue;
    }
    if (device_problem(*library.backend).empty()) return {name, library.backend, ""};
    // Without a better one, this one: its list of devices says what is wrong.
    if (!status.backend) status.backend = library.backend;
  }
  if (status.backend) status.problem.clear();
  if (status.backend || !status.problem.empty()) return status;
  status.problem = note_of(name);
  if (status.problem.empty()) status.problem = known().explanations[name];
  if (status.problem.empty()) status.problem = "the " + name + " backend was not built";
  return status;
}

}  // namespace

const std::vector<std::string>& backend_names() {
  static const std::vector<std::string> names{"cpu", "cuda", "simt"};
  return names;
}

BackendStatus find_backend(const std::string& name) {
  std::lock_guard<std::mutex> lock(known().mutex);
  const auto found = known().backends.find(name);
  if (found != known().backends.end()) return found->second;
  return known().backends.emplace(name, search(name)).first->second;
}

void add_backend_folder(const std::string& folder) {
  std::lock_guard<std::mutex> lock(known().mutex);
  // A process may load the package twice, and has one addon.
  for (const fs::path& other : known().folders) {
    if (other == fs::path(folder)) return;
  }
  known().folders.push_back(folder);
}

std::vector<std::string> library_files(const std::string& name) {
  std::lock_guard<std::mutex> lock(known().mutex);
  std::vector<std::string> files;
  for (const fs::path& file : in_folders({name})) files.push_back(file.string());
  return files;
}

std::string build_note(const std::string& name) {
  std::lock_guard<std::mutex> lock(known().mutex);
  return text_of_note(name);
}

void exclude_library(const std::string& file, const std::string& problem) {
  std::lock_guard<std::mutex> lock(known().mutex);
  known().libraries.emplace(file, Library{nullptr, problem});
}

void explain_missing(const std::string& name, const std::string& problem) {
  std::lock_guard<std::mutex> lock(known().mutex);
  known().explanations[name] = problem;
}

std::vector<std::string> backend_libraries(const std::string& name) {
  std::lock_guard<std::mutex> lock(known().mutex);
  std::string problem;
  std::vector<std::string> files;
  for (const fs::path& file : existing_files(name, problem)) files.push_back(file.string());
  return files;
}

std::string try_library(const std::string& file) {
  std::lock_guard<std::mutex> lock(known().mutex);
  const Library& library = opened(file);
  return library.backend ? device_problem(*library.backend) : library.problem;
}

}  // namespace nextpatch
