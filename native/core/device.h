// An opened device: its memory, and its queue of operations, which run in order on a thread of their own.
#pragma once

#include <array>
#include <atomic>
#include <exception>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "allocator.h"
#include "backend.h"
#include "worker.h"

namespace nextpatch {

class Device;

// A block of a device's memory; it goes back to the allocator when the last owner lets go. Operations that
// are still to run own what they touch.
class Storage {
 public:
  Storage(std::shared_ptr<Device> device, size_t bytes);
  ~Storage();
  Storage(const Storage&) = delete;
  Storage& operator=(const Storage&) = delete;

  void* data() const { return data_; }
  size_t bytes() const { return bytes_; }
  const std::shared_ptr<Device>& device() const { return device_; }

 private:
  std::shared_ptr<Device> device_;
  size_t bytes_;
  void* data_;
};

// Operations recorded once, to be run again and again over the same memory: as a graph of the device where it
// has such a thing, else one after another. Owns all storages they touch.
class Graph {
 public:
  ~Graph();
  const std::shared_ptr<Device>& device() const { return device_; }

 private:
  friend class Device;
  std::shared_ptr<Device> device_;
  std::vector<std::function<void(Kernels&)>> operations_;
  std::vector<std::shared_ptr<Storage>> owned_;
  std::vector<int> marks_;  // slots that a launch marks
  void* native_ = nullptr;  // queue thread only
};

class Device : public std::enable_shared_from_this<Device> {
 public:
  // nullptr, or the error of the first operation that failed since the last wait.
  using Done = std::function<void(std::exception_ptr)>;

  Device(std::string backend, int index, int threads, DeviceInfo info, std::unique_ptr<Context> context);
  ~Device();

  const std::string& backend() const { return backend_; }
  int index() const { return index_; }
  int threads() const { return threads_; }  // as asked for; 0: all
  const DeviceInfo& info() const { return info_; }
  const Kernels& kernels() const { return context_->kernels(); }
  Allocator& memory() { return *memory_; }
  Allocator& host_memory() { return *host_memory_; }
  MemoryStatus memory_status() { return context_->memory(); }
  double energy() { return context_->energy(); }

  // Runs `operation` on the queue, after all that came before. Where it throws, operations behind it are
  // skipped and the next wait reports the error. `owned` lives until the operation has been issued.
  void run(std::function<void(Kernels&)> operation, std::vector<std::shared_ptr<Storage>> owned);

  // From here to end_capture, operations are recorded instead of run. Copies to and from the host, and waits,
  // are errors meanwhile.
  void begin_capture();
  std::shared_ptr<Graph> end_capture();
  // Throws an Error where operations are being recorded: `what` cannot be part of a graph.
  void require_no_capture(const char* what) const;
  // Runs a graph's operations, after all that came before.
  void launch(const std::shared_ptr<Graph>& graph);

  // Notes the time at which the queue comes by; seconds_between is to be asked after a wait, and throws an Error
  // where a slot was never marked.
  void mark(int slot);
  double seconds_between(int first, int second);

  // Copies `bytes` from `host` (which may be changed as soon as this returns) to `to`.
  void write(const std::shared_ptr<Storage>& owner, void* to, const void* host, size_t bytes);

  // Copies from `from` to `host`, which must live until `done` is called (on a thread of the device).
  void read(const std::shared_ptr<Storage>& owner, const void* from, void* host, size_t bytes, Done done);

  // Ends the device's threads; operations that have not begun, and all that come, are dropped.
  void close();

  // Calls `done` (on a thread of the device) when all operations enqueued so far have finished.
  void synchronize(Done done);

 private:
  friend class Graph;
  void finish(std::function<void()> issue, Done done);
  void instantiate(Graph& graph);
  void release_staging();

  std::string backend_;
  int index_;
  int threads_;
  DeviceInfo info_;
  std::unique_ptr<Context> context_;
  std::unique_ptr<Allocator> memory_;
  std::unique_ptr<Allocator> host_memory_;
  std::shared_ptr<Graph> capture_;  // what is being recorded; touched by the caller's thread only
  // Both are touched on the queue thread only.
  std::exception_ptr failure_;
  std::vector<std::pair<Ticket, void*>> staging_;  // host blocks of copies that may still be under way
  std::array<std::atomic<bool>, kMarks> marked_{};  // slots that the queue has come by
  // Waits for the stream so that the queue need not; destroyed after the queue, which feeds it.
  std::unique_ptr<Worker> waiter_;
  std::unique_ptr<Worker> queue_;
};

}  // namespace nextpatch
