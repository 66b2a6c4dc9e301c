#include "nccl.h"

#include <dlfcn.h>

#include <cstdlib>
#include <mutex>

#include "../core/error.h"
#include "find_library.h"

namespace nextpatch::cuda {
namespace {

constexpr int kOldest = 22700;  // 2.27.0, as NCCL counts

// As NCCL_VERSION_CODE is made: 2.27.3 is 22703, 2.8.4 was 2804.
std::string version_text(int code) {
  const int thousand = code < 10000 ? 1000 : 10000;
  return std::to_string(code / thousand) + "." + std::to_string(code % thousand / 100) + "." +
         std::to_string(code % 100);
}

template <typename Function>
void find(void* library, const char* name, Function* function) {
  const std::string full = std::string("nccl") + name;
  *function = reinterpret_cast<Function>(dlsym(library, full.c_str()));
  if (!*function) throw Error(ErrorKind::device, "NCCL: the library has no function " + full);
}

Nccl load() {
  setenv("NCCL_NVLS_ENABLE", "0", 0);
  const std::string get =
      "on Debian or Ubuntu, from NVIDIA's CUDA repository (developer.nvidia.com/nccl): apt-get install libnccl2; "
      "elsewhere, set NEXTPATCH_NCCL to libnccl.so.2";
  std::string tried;
  void* const library = find_library("NEXTPATCH_NCCL", "libnccl.so.2", {"nccl"}, &tried);
  if (!library) throw Error(ErrorKind::device, "NCCL was not found (" + tried + "); " + get);
  Nccl api;
  find(library, "GetVersion", &api.GetVersion);
  int version = 0;
  api.GetVersion(&version);
  api.name = "NCCL " + version_text(version);
  if (version < kOldest)
    throw Error(ErrorKind::device,
                "NCCL: expected version 2.27 or later but received " + version_text(version) + "; " + get);
#define NEXTPATCH_FIND(name) find(library, #name, &api.name)
  NEXTPATCH_FIND(GetUniqueId);
  NEXTPATCH_FIND(CommInitRank);
  NEXTPATCH_FIND(CommDestroy);
  NEXTPATCH_FIND(CommAbort);
  NEXTPATCH_FIND(CommGetAsyncError);
  NEXTPATCH_FIND(GetErrorString);
  NEXTPATCH_FIND(GetLastError);
  NEXTPATCH_FIND(ReduceScatter);
  NEXTPATCH_FIND(AllGather);
  NEXTPATCH_FIND(AllReduce);
#undef NEXTPATCH_FIND
  return api;
}

}  // namespace

const Nccl& nccl() {
  // Looked for again after a failure: what is missing may be installed meanwhile.
  static std::mutex mutex;
  static const Nccl* loaded = nullptr;
  std::lock_guard<std::mutex> lock(mutex);
  if (!loaded) loaded = new Nccl(load());
  return *loaded;
}

}  // namespace nextpatch::cuda
