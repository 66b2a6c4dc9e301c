#include "find_library.h"

#include <cuda_runtime.h>
#include <dlfcn.h>

#include <cstdlib>
#include <filesystem>

namespace nextpatch::cuda {
namespace {

namespace fs = std::filesystem;

std::string setting(const char* name) {
  const char* value = std::getenv(name);
  return value ? value : "";
}

// `root`/python3.*/{site,dist}-packages/nvidia/PACKAGE/lib.
void add_python_packages(const fs::path& root, const std::vector<std::string>& names, std::vector<fs::path>* folders) {
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(root, ignored)) {
    if (entry.path().filename().string().rfind("python3", 0) != 0) continue;
    for (const char* packages : {"site-packages", "dist-packages"})
      for (const std::string& name : names) folders->push_back(entry.path() / packages / "nvidia" / name / "lib");
  }
}

std::vector<fs::path> folders(const std::vector<std::string>& packages) {
  std::vector<fs::path> found;
  for (const char* name : {"CUDA_HOME", "CUDA_PATH"})
    if (const std::string root = setting(name); !root.empty()) found.push_back(fs::path(root) / "lib64");
  found.push_back("/usr/local/cuda/lib64");
  found.push_back("/usr/local/cuda-" + cuda_major() + "/lib64");
  for (const char* name : {"VIRTUAL_ENV", "CONDA_PREFIX"})
    if (const std::string root = setting(name); !root.empty()) {
      found.push_back(fs::path(root) / "lib");
      add_python_packages(fs::path(root) / "lib", packages, &found);
    }
  if (const std::string home = setting("HOME"); !home.empty())
    add_python_packages(fs::path(home) / ".local/lib", packages, &found);
  for (const char* root : {"/usr/local/lib", "/usr/lib"}) add_python_packages(root, packages, &found);
  return found;
}

}  // namespace

std::string cuda_major() {
  int version = 0;
  cudaRuntimeGetVersion(&version);
  return std::to_string(version / 1000);
}

void* find_library(const char* variable, const std::string& file, const std::vector<std::string>& packages,
                   std::string* tried) {
  const auto open = [&](const std::string& path) {
    void* const library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (!library) *tried += (tried->empty() ? "" : "; ") + std::string(dlerror());
    return library;
  };
  std::error_code ignored;
  // What was asked for is not replaced by something else.
  if (const std::string given = setting(variable); !given.empty())
    return open(fs::is_directory(given, ignored) ? (fs::path(given) / file).string() : given);
  if (void* library = open(file)) return library;
  for (const fs::path& folder : folders(packages)) {
    if (!fs::exists(folder / file, ignored)) continue;
    if (void* library = open((folder / file).string())) return library;
  }
  return nullptr;
}

}  // namespace nextpatch::cuda
