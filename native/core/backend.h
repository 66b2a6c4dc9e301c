// What a backend (a shared library of its own: nextpatch_cpu_*.so, nextpatch_cuda.so, nextpatch_simt.so)
// exports to the core, through the one symbol `nextpatch_backend`.
#pragma once

#include <cmath>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "../kernels.h"

namespace nextpatch {

struct DeviceInfo {
  std::string name;          // "NVIDIA H200", "AMD EPYC (2 threads, AVX-512 BF16)"
  int64_t total_bytes = 0;   // memory of the device
  bool native_bf16 = false;  // bf16 products run faster than f32 ones
};

struct MemoryStatus {
  int64_t total_bytes = 0;
  int64_t free_bytes = 0;
};

// A point in a context's stream of work, to be waited for.
using Ticket = uint64_t;

// An opened device. All methods but allocate*, free*, memory, energy, asynchronous, seconds_between and wait are called
// on the device's queue thread only, so a context needs no lock of its own for them.
class Context {
 public:
  virtual ~Context() = default;

  virtual Kernels& kernels() = 0;

  // Device memory that matrix products work in: so many bytes, given once, before the first operation. It is the
  // device's to take, so that it is counted and planned like all other.
  virtual size_t workspace_bytes() const { return 0; }
  virtual void use_workspace(void* /*data*/) {}

  // Called once on the queue thread before the first operation.
  virtual void enter() {}

  // 64-byte aligned memory of the device, or nullptr when there is not enough. Any thread.
  virtual void* allocate(size_t bytes) = 0;
  virtual void free(void* data) = 0;
  // Host memory that copies are fast from and to (page-locked where that means something). Any thread.
  virtual void* allocate_host(size_t bytes) = 0;
  virtual void free_host(void* data) = 0;
  virtual MemoryStatus memory() = 0;
  // Joules used since the device was switched on, by its own counter; NaN where it has none. Any thread.
  virtual double energy() { return std::nan(""); }

  // Whether work, copies included, goes on after the call that enqueued it has returned.
  virtual bool asynchronous() const { return false; }

  // Copies in the order of the stream. Where the context is asynchronous, `host` is of allocate_host, and left alone
  // until a ticket recorded after the copy.
  virtual void copy_from_host(void* device, const void* host, size_t bytes) = 0;
  virtual void copy_to_host(void* host, const void* device, size_t bytes) = 0;

  // As copy_from_host, in two steps: to `arrival`, beside the stream's work, and from there to `device` in the
  // stream's order. `arrival` is device memory of as many bytes that nothing but uploads uses; `fresh` before its
  // first, when operations on what lay there before may still run. Asynchronous contexts only.
  virtual void upload(void* /*device*/, void* /*arrival*/, const void* /*host*/, size_t /*bytes*/, bool /*fresh*/) {}

  // A ticket for the end of all work enqueued so far. `wait` blocks (any thread) and throws the Error of work that
  // failed before the mark.
  virtual Ticket record() = 0;
  virtual void wait(Ticket ticket) = 0;

  // Notes the time at which the stream comes by, in `slot` (0 to kMarks - 1); part of a graph where one is
  // captured. seconds_between two marks is asked after both have been waited for, on any thread.
  virtual void mark(int slot) = 0;
  virtual double seconds_between(int first, int second) = 0;

  // Between begin_capture and end_capture operations are recorded, not run; replay enqueues all of them at
  // once, on the addresses they were recorded with. No record, allocation or wait comes in between. A
  // context that cannot capture says so by `false` (then the other three are not called).
  virtual bool begin_capture() { return false; }
  virtual void* end_capture() { return nullptr; }
  virtual void replay(void* /*graph*/) {}
  virtual void destroy_graph(void* /*graph*/) {}
};

class Backend {
 public:
  virtual ~Backend() = default;

  virtual std::string name() const = 0;
  // Libraries it runs on and their versions, for `nextpatch info`: {"oneDNN", "2.6.0"}.
  virtual std::vector<std::pair<std::string, std::string>> versions() const = 0;
  // The devices that can be opened; throws an Error of kind device saying why there is none.
  virtual std::vector<DeviceInfo> devices() = 0;
  // threads: host threads that compute (0: all available cores); ignored by GPUs.
  virtual std::unique_ptr<Context> open(int index, int threads) = 0;
};

}  // namespace nextpatch

// Every backend library defines this; the object lives as long as the library.
extern "C" __attribute__((visibility("default"))) nextpatch::Backend* nextpatch_backend();
