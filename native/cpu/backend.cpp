// The CPU as a device: plain host memory; work runs synchronously on the queue thread and its OpenMP team.
#include "../core/backend.h"

#include <omp.h>
#include <oneapi/dnnl/dnnl.h>
#include <sched.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>

#include <array>
#include <chrono>
#include <cstring>
#include <fstream>

#include "../core/error.h"
#include "../core/version.h"
#include "communication.h"
#include "cpu_kernels.h"
#include "host_memory.h"

namespace nextpatch::cpu {
namespace {

int available_cores() {
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) == 0) return CPU_COUNT(&set);
  return get_nprocs();
}

std::string processor_name() {
  std::ifstream cpuinfo("/proc/cpuinfo");
  std::string line;
  while (std::getline(cpuinfo, line))
    if (line.rfind("model name", 0) == 0) return line.substr(line.find(':') + 2);
  utsname system;  // Linux names no model on Arm
  return uname(&system) == 0 ? std::string(system.machine) + " CPU" : "CPU";
}

class CpuContext final : public Context {
 public:
  explicit CpuContext(int threads) : threads_(threads), kernels_(threads) {}

  Kernels& kernels() override { return kernels_; }

  // OpenMP's thread count is a setting of the thread that opens parallel regions.
  void enter() override { omp_set_num_threads(threads_); }

  std::unique_ptr<Communication> join(const Engine& engine) override {
    return std::make_unique<HostCommunication>(engine);
  }

  void* allocate(size_t bytes) override { return allocate_memory(bytes); }
  void free(void* data) override { free_memory(data); }
  void* allocate_host(size_t bytes) override { return allocate(bytes); }
  void free_host(void* data) override { free_memory(data); }
  MemoryStatus memory() override { return memory_status(); }

  void copy_from_host(void* device, const void* host, size_t bytes) override { std::memcpy(device, host, bytes); }
  void copy_to_host(void* host, const void* device, size_t bytes) override { std::memcpy(host, device, bytes); }

  // Work is done when its call returns, so there is nothing to wait for.
  Ticket record() override { return 0; }
  void wait(Ticket) override {}

  void mark(int slot) override { marks_[slot] = std::chrono::steady_clock::now(); }
  double seconds_between(int first, int second) override {
    return std::chrono::duration<double>(marks_[second] - marks_[first]).count();
  }

 private:
  int threads_;
  std::array<std::chrono::steady_clock::time_point, kMarks> marks_{};
  CpuKernels kernels_;
};

class CpuBackend final : public Backend {
 public:
  std::string name() const override { return "cpu"; }

  std::vector<std::pair<std::string, std::string>> versions() const override {
    const dnnl_version_t* v = dnnl_version();
    return {{"instructions", NEXTPATCH_ISA},
            {"oneDNN", std::to_string(v->major) + "." + std::to_string(v->minor) + "." + std::to_string(v->patch)},
            {"OpenMP", std::to_string(_OPENMP)}};
  }

  std::vector<DeviceInfo> devices() override {
    DeviceInfo info;
    info.name = processor_name() + " (" + std::to_string(available_cores()) + " cores, " NEXTPATCH_ISA ")";
    info.total_bytes = memory_status().total_bytes;
    info.native_bf16 = std::strcmp(NEXTPATCH_ISA, "avx512_bf16") == 0;
    info.code = "machine code for " NEXTPATCH_ISA;
    return {info};
  }

  std::unique_ptr<Context> open(int, int threads) override {
    return std::make_unique<CpuContext>(threads > 0 ? threads : available_cores());
  }
};

}  // namespace
}  // namespace nextpatch::cpu

const nextpatch::BackendEntry* nextpatch_backend() {
  static nextpatch::cpu::CpuBackend backend;
  static const nextpatch::BackendEntry entry{nextpatch::version(), &backend};
  return &entry;
}
