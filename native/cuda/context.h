// An opened GPU: its streams, memory, tickets, timestamps and captured graphs.
#pragma once

#include <cuda_runtime.h>

#include <atomic>
#include <mutex>

#include "../core/backend.h"
#include "bad_id.cuh"
#include "cuda_kernels.h"
#include "nccl_collectives.h"
#include "nvml.h"

namespace nextpatch::cuda {

class CudaContext final : public Context {
 public:
  explicit CudaContext(int index);

  Kernels& kernels() override { return kernels_; }
  size_t workspace_bytes() const override { return kernels_.workspace_bytes(); }
  void use_workspace(void* data) override { kernels_.use_workspace(data); }
  Products* products() override { return kernels_.products(); }
  void enter() override;
  void* allocate(size_t bytes) override;
  void free(void* data) override;
  void* allocate_host(size_t bytes) override;
  void free_host(void* data) override;
  MemoryStatus memory() override;
#if NEXTPATCH_SIMT
  std::unique_ptr<Communication> join(const Engine& engine) override;  // simt/ranks.cpp
#else
  double energy() override { return energy_.joules(); }
#endif
  std::unique_ptr<Communication> meet(Rendezvous& ranks) override;
  void copy_from_host(void* device, const void* host, size_t bytes) override;
  void copy_to_host(void* host, const void* device, size_t bytes) override;
  bool asynchronous() const override { return true; }
  void upload(void* device, void* arrival, const void* host, size_t bytes, bool fresh) override;
  Ticket record() override;
  void wait(Ticket ticket) override;
  void mark(int slot) override;
  double seconds_between(int first, int second) override;
  bool begin_capture() override;
  void* end_capture() override;
  void replay(void* graph) override;
  void destroy_graph(void* graph) override;

 private:
  static constexpr int kEvents = 64;

  // Freed in one place, also if opening fails half-way: the destructor runs because the delegated-to constructor, the
  // one without arguments, has finished.
  struct Owned {
    explicit Owned(int index);
    ~Owned();
    Owned(const Owned&) = delete;
    Device device;
    cudaStream_t copies = nullptr;   // carries uploads beside device.stream
    cudaEvent_t arrived = nullptr;   // the last upload is in its arrival buffer
    cudaEvent_t departed = nullptr;  // and has been copied out of it
    BadId* bad_id = nullptr;         // as the host sees it
    cudaEvent_t events[kEvents] = {};
    cudaEvent_t marks[kMarks] = {};  // created when first used

   private:
    Owned() = default;
  };

  void use(const char* operation) const;
  void report_bad_id();

  Owned owned_;
  CudaKernels kernels_;
#if !NEXTPATCH_SIMT
  EnergyCounter energy_;
#endif
  std::mutex bad_id_mutex_;  // several threads may wait
  Ticket last_ticket_ = 0;
  bool capturing_ = false;
  std::atomic<NcclCollectives*> nccl_{nullptr};  // of who joined; nullptr: has not, or by an engine
};

}  // namespace nextpatch::cuda
