// Lists the GPUs, or says why there are none.
#include "../core/error.h"
#include "../core/version.h"
#include "check.h"
#include "context.h"
#include "gemm.h"
#include "gpu_code.h"
#include "nccl.h"

namespace nextpatch::cuda {
namespace {

#if NEXTPATCH_SIMT
constexpr const char* kName = "simt";
std::string code_of(const cudaDeviceProp&) { return "the CUDA sources, compiled for the host"; }
#else
constexpr const char* kName = "cuda";
std::string code_of(const cudaDeviceProp& properties) {
  return gpu_code(properties.major, properties.minor, ptx_is_forced());
}
#endif

// 13000 is 13.0, 12040 is 12.4.
std::string version_text(int version) {
  return std::to_string(version / 1000) + "." + std::to_string(version % 1000 / 10);
}

std::string runtime_version() {
  int version = 0;
  cudaRuntimeGetVersion(&version);
  return version_text(version);
}

std::string driver_version() {
  int version = 0;
  if (cudaDriverGetVersion(&version) != cudaSuccess || version == 0) return "none";
  return version_text(version);
}

[[noreturn]] void no_device(cudaError_t error) {
  cudaGetLastError();
  if (error == cudaErrorNoDevice)
    throw Error(ErrorKind::device,
                "the NVIDIA driver finds no GPU (nvidia-smi lists those it finds; "
                "CUDA_VISIBLE_DEVICES may hide some)");
  if (error == cudaErrorInsufficientDriver && driver_version() == "none")
    throw Error(ErrorKind::device,
                "no NVIDIA driver is installed (in a container: it was not started with "
                "--gpus all)");
  if (error == cudaErrorInsufficientDriver)
    throw Error(ErrorKind::device, "the NVIDIA driver is too old: it supports CUDA " + driver_version() +
                                       ", this build needs " + runtime_version());
  throw Error(ErrorKind::device, std::string("cudaGetDeviceCount failed: ") + cudaGetErrorString(error));
}

cudaDeviceProp properties_of(int index) {
  cudaDeviceProp properties;
  check(cudaGetDeviceProperties(&properties, index), "devices", "cudaGetDeviceProperties failed");
  return properties;
}

class CudaBackend final : public Backend {
 public:
  std::string name() const override { return kName; }

  std::vector<std::pair<std::string, std::string>> versions() const override {
    std::vector<std::pair<std::string, std::string>> found{{"CUDA runtime", runtime_version()},
                                                           {"CUDA driver", driver_version()}};
    try {
      found.push_back(gemm_version());
    } catch (const Error&) {
      // devices() says what is missing.
    }
    return found;
  }

  std::string ranks_by() override { return nccl().name; }

  std::vector<DeviceInfo> devices() override {
    int count = 0;
    const cudaError_t error = cudaGetDeviceCount(&count);
    if (error != cudaSuccess) no_device(error);
    if (count == 0) no_device(cudaErrorNoDevice);
    gemm_version();  // without its library no device can be opened
    std::vector<DeviceInfo> found;
    for (int i = 0; i < count; ++i) {
      const cudaDeviceProp properties = properties_of(i);
      DeviceInfo info;
      info.name = properties.name;
      info.total_bytes = int64_t(properties.totalGlobalMem);
      info.native_bf16 = properties.major >= kOldestMajor;
      info.capability = std::to_string(properties.major) + "." + std::to_string(properties.minor);
      info.code = code_of(properties);
      found.push_back(info);
    }
    return found;
  }

  std::unique_ptr<Context> open(int index, int) override {
    const cudaDeviceProp properties = properties_of(index);
    if (code_of(properties).empty() && !gpu_code(properties.major, properties.minor).empty())
      throw Error(ErrorKind::device, std::string(properties.name) +
                                         " runs machine code only, which CUDA_FORCE_PTX_JIT "
                                         "forbids: unset it");
    if (properties.major < kOldestMajor || code_of(properties).empty())
      throw Error(ErrorKind::device, std::string(properties.name) + " has compute capability " +
                                         std::to_string(properties.major) + "." + std::to_string(properties.minor) +
                                         "; nextpatch needs 8.0 (Ampere) or later, and not a Jetson");
    return std::make_unique<CudaContext>(index);
  }
};

}  // namespace
}  // namespace nextpatch::cuda

const nextpatch::BackendEntry* nextpatch_backend() {
  // Never destroyed: the CUDA runtime may be torn down before this library's statics.
  static auto* const backend = new nextpatch::cuda::CudaBackend;
  static const nextpatch::BackendEntry entry{nextpatch::version(), backend};
  return &entry;
}
