#include "cublaslt.h"

#include <dlfcn.h>

#include <mutex>
#include <string>

#include "../core/error.h"
#include "find_library.h"

namespace nextpatch::cuda {
namespace {

std::string file_name() { return "libcublasLt.so." + cuda_major(); }

template <typename Function>
void find(void* library, const char* name, Function* function) {
  const std::string full = std::string("cublasLt") + name;
  *function = reinterpret_cast<Function>(dlsym(library, full.c_str()));
  if (!*function) throw Error(ErrorKind::device, "cuBLAS: " + file_name() + " has no function " + full);
}

CublasLt load() {
  std::string tried;
  void* const library = find_library("NEXTPATCH_CUBLAS", file_name(), {"cu" + cuda_major(), "cublas"}, &tried);
  if (!library) {
    const std::string wheel = cuda_major() == "12" ? "nvidia-cublas-cu12" : "nvidia-cublas";
    throw Error(ErrorKind::device, "cuBLAS " + cuda_major() + " was not found (" + tried +
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
