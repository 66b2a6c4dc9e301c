// The interface that a backend (a shared library: nextpatch_cpu_*.so, nextpatch_cuda.so, nextpatch_simt.so)
// exports to the core, through the single symbol `nextpatch_backend`.
#pragma once

#include <cmath>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "../engine/engine.h"
#include "../kernels.h"
#include "collectives.h"
#include "products.h"
#include "rendezvous.h"

namespace nextpatch {

struct DeviceInfo {
  std::string name;          // "NVIDIA H200", "AMD EPYC (2 threads, AVX-512 BF16)"
  int64_t total_bytes = 0;   // memory of the device
  bool native_bf16 = false;  // bf16 products run faster than f32 ones
  std::string capability;    // a GPU's compute capability, "9.0"; empty: not a GPU
  std::string code;          // the compiled code that it runs: "machine code for sm_80"; empty: none
};

struct MemoryStatus {
  int64_t total_bytes = 0;
  int64_t free_bytes = 0;  // that can be allocated
  std::string limited_by;  // what sets free_bytes; empty: the device's own memory

  // For messages: "12 of 34 are free, by ...".
  std::string text() const {
    return std::to_string(free_bytes) + " of " + std::to_string(total_bytes) + " are free" +
           (limited_by.empty() ? "" : ", by " + limited_by);
  }
};

// A point in a context's stream of work that can be waited for.
using Ticket = uint64_t;

// An opened device. Methods are called on the device's queue thread only, so a context needs no lock for them, but for
// those that say "any thread", and kernels(), from which any thread asks for the sizes of workspaces.
class Context {
 public:
  virtual ~Context() = default;

  virtual Kernels& kernels() = 0;

  // The workspace of matrix products: its size (any thread), and the memory, passed once before the queue thread runs
  // anything. Device allocates it, so that it is counted and planned like all other memory.
  virtual size_t workspace_bytes() const { return 0; }
  virtual void use_workspace(void* /*data*/) {}

  // The algorithms of matrix products; nullptr if there is one for each. Any thread.
  virtual Products* products() { return nullptr; }

  // Called once on the queue thread before the first operation.
  virtual void enter() {}

  // Makes the process a rank, by the engine, and returns the operations on all ranks; nullptr: this backend has none.
  virtual std::unique_ptr<Communication> join(const Engine& /*engine*/) { return nullptr; }
  // The same by a library of the devices' own (Backend::ranks_by), whose ranks have met.
  virtual std::unique_ptr<Communication> meet(Rendezvous& /*ranks*/) { return nullptr; }

  // 64-byte aligned device memory, or nullptr if there is not enough. Any thread.
  virtual void* allocate(size_t bytes) = 0;
  virtual void free(void* data) = 0;
  // Host memory for fast copies (page-locked if the backend supports it). Any thread.
  virtual void* allocate_host(size_t bytes) = 0;
  virtual void free_host(void* data) = 0;
  // Any thread.
  virtual MemoryStatus memory() = 0;
  // Joules used since the driver was loaded, by the device's own counter; NaN if it has none. Any thread.
  virtual double energy() { return std::nan(""); }

  // Whether work, copies included, may still run after the call that enqueued it has returned. Any thread.
  virtual bool asynchronous() const { return false; }

  // Copies in stream order. If the context is asynchronous, `host` is from allocate_host, and stays untouched until a
  // ticket recorded after the copy has been waited for.
  virtual void copy_from_host(void* device, const void* host, size_t bytes) = 0;
  virtual void copy_to_host(void* host, const void* device, size_t bytes) = 0;

  // As copy_from_host, in two steps: to `arrival`, concurrently with the stream's work, and from there to `device` in
  // stream order. `arrival` is device memory of the same size that only uploads use. `fresh` marks its first upload:
  // operations on what that memory held before may still be running. Asynchronous contexts only.
  virtual void upload(void* /*device*/, void* /*arrival*/, const void* /*host*/, size_t /*bytes*/, bool /*fresh*/) {}

  // A ticket for the end of all work enqueued so far. `wait` blocks (any thread) and throws the Error of work that
  // failed before that point.
  virtual Ticket record() = 0;
  virtual void wait(Ticket ticket) = 0;

  // Records a timestamp in `slot` (0 to kMarks - 1) when the stream reaches this point; during a capture, part of
  // the graph. Call seconds_between, on any thread, only after both marks have been waited for.
  virtual void mark(int slot) = 0;
  virtual double seconds_between(int first, int second) = 0;

  // Between begin_capture and end_capture operations are recorded, not run; replay enqueues all of them at
  // once, on the addresses they were recorded with. There is no record, allocation or wait during a capture. A
  // context that cannot capture returns false (then the other three are not called).
  virtual bool begin_capture() { return false; }
  virtual void* end_capture() { return nullptr; }
  virtual void replay(void* /*graph*/) {}
  virtual void destroy_graph(void* /*graph*/) {}
};

class Backend {
 public:
  virtual ~Backend() = default;

  virtual std::string name() const = 0;
  // The libraries it uses and their versions, for `nextpatch info`: {"oneDNN", "2.6.0"}.
  virtual std::vector<std::pair<std::string, std::string>> versions() const = 0;
  // The library by which its devices' ranks talk, with its version: "NCCL 2.27.3"; empty: they need an engine. Throws
  // an Error of kind device that says why it cannot be used.
  virtual std::string ranks_by() { return ""; }
  // The devices that can be opened; if there is none, throws an Error of kind device that says why.
  virtual std::vector<DeviceInfo> devices() = 0;
  // threads: host threads that compute (0: all available cores); ignored by GPUs.
  virtual std::unique_ptr<Context> open(int index, int threads) = 0;
};

// What a backend library gives the core. The version (version.h) comes first and is compared first: in another, all
// that follows may differ.
struct BackendEntry {
  const char* version;
  Backend* backend;
};

}  // namespace nextpatch

// Every backend library defines this; the objects live as long as the library.
extern "C" __attribute__((visibility("default"))) const nextpatch::BackendEntry* nextpatch_backend();
