#include "cublaslt.h"

#include <dlfcn.h>

#include <cstdlib>
#include <filesystem>
#include <mutex>
#include <string>
#include <vector>

#include "../core/error.h"

namespace nextpatch::cuda {
namespace {

namespace fs = std::filesystem;

std::string setting(const char* name) {
  const char* value = std::getenv(name);
  return value ? value : "";
}

// The library's major version is the CUDA runtime's.
std::string major() {
  int version = 0;
  cudaRuntimeGetVersion(&version);
  return std::to_string(version / 1000);
}

std::string file_name() { return "libcublasLt.so." + major(); }

// `root`/python3.*/{site,dist}-packages/nvidia/{cu13,cublas}/lib, as NVIDIA's Python packages lie.
void add_python_packages(const fs::path& root, std::vector<fs::path>* folders) {
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(root, ignored)) {
    if (entry.path().filename().string().rfind("python3", 0) != 0) continue;
    for (const char* packages : {"site-packages", "dist-packages"})
      for (const std::string& package : {"cu" + major(), std::string("cublas")})
        folders->push_back(entry.path() / packages / "nvidia" / package / "lib");
  }
}

std::vector<fs::path> folders() {
  std::vector<fs::path> found;
  for (const char* name : {"CUDA_HOME", "CUDA_PATH"})
    if (const std::string root = setting(name); !root.empty()) found.push_back(fs::path(root) / "lib64");
  found.push_back("/usr/local/cuda/lib64");
  found.push_back("/usr/local/cuda-" + major() + "/lib64");
  for (const char* name : {"VIRTUAL_ENV", "CONDA_PREFIX"})
    if (const std::string root = setting(name); !root.empty()) {
      found.push_back(fs::path(root) / "lib");
      add_python_packages(fs::path(root) / "lib", &found);
    }
  if (const std::string home = setting("HOME"); !home.empty())
    add_python_packages(fs::path(home) / ".local/lib", &found);
  for (const char* root : {"/usr/local/lib", "/usr/lib"}) add_python_packages(root, &found);
  return found;
}

void* open_library(std::string* tried) {
  const auto open = [&](const std::string& path) {
    void* const library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (!library) *tried += (tried->empty() ? "" : "; ") + std::string(dlerror());
    return library;
  };
  if (const std::string given = setting("NEXTPATCH_CUBLAS"); !given.empty()) {
    std::error_code ignored;
    // What was asked for is not replaced by something else.
    return open(fs::is_directory(given, ignored) ? (fs::path(given) / file_name()).string() : given);
  }
  if (void* library = open(file_name())) return library;
  for (const fs::path& folder : folders()) {
    std::error_code ignored;
    const fs::path file = folder / file_name();
    if (!fs::exists(file, ignored)) continue;
    if (void* library = open(file.string())) return library;
  }
  return nullptr;
}

template <typename Function>
void find(void* library, const char* name, Function* function) {
  const std::string full = std::string("cublasLt") + name;
  *function = reinterpret_cast<Function>(dlsym(library, full.c_str()));
  if (!*function) throw Error(ErrorKind::device, "cuBLAS: " + file_name() + " has no function " + full);
}

CublasLt load() {
  std::string tried;
  void* const library = open_library(&tried);
  if (!library) {
    const std::string wheel = major() == "12" ? "nvidia-cublas-cu12" : "nvidia-cublas";
    throw Error(ErrorKind::device, "cuBLAS " + major() + " was not found (" + tried +
                                       "). Install the CUDA toolkit's cuBLAS, or run: pip install " + wheel +
                                       "; elsewhere, set NEXTPATCH_CUBLAS to " + file_name());
  }
  CublasLt api;
#define NEXTPATCH_FIND(name) find(library, #name, &api.name)
  NEXTPATCH_FIND(GetVersion);
  NEXTPATCH_FIND(GetStatusString);
  NEXTPATCH_FIND(Create);
  NEXTPATCH_FIND(Destroy);
  NEXTPATCH_FIND(MatrixLayoutCreate);
  NEXTPATCH_FIND(MatrixLayoutDestroy);
  NEXTPATCH_FIND(MatrixLayoutSetAttribute);
  NEXTPATCH_FIND(MatmulDescCreate);
  NEXTPATCH_FIND(MatmulDescDestroy);
  NEXTPATCH_FIND(MatmulDescSetAttribute);
  NEXTPATCH_FIND(MatmulPreferenceCreate);
  NEXTPATCH_FIND(MatmulPreferenceDestroy);
  NEXTPATCH_FIND(MatmulPreferenceSetAttribute);
  NEXTPATCH_FIND(MatmulAlgoGetHeuristic);
  NEXTPATCH_FIND(MatmulAlgoCheck);
  NEXTPATCH_FIND(Matmul);
#undef NEXTPATCH_FIND
  return api;
}

}  // namespace

const CublasLt& cublaslt() {
  // Looked for again after a failure: what is missing may be installed meanwhile.
  static std::mutex mutex;
  static bool loaded = false;
  static CublasLt api;
  std::lock_guard<std::mutex> lock(mutex);
  if (!loaded) api = load();
  loaded = true;
  return api;
}

}  // namespace nextpatch::cuda
