// An opened device: its memory, and its queue of operations, which run in order on a thread of their own.
//
// A device that computes while the queue goes on (asynchronous) has three hands: the queue thread issues, the stream
// computes, the waiter thread waits for the stream. No copy holds up another:
// - write: the data is copied to page-locked memory at once; the stream takes it from there in its order.
// - prefetch: so does a second stream, which carries the data to memory of the device beside the tensor (its arrival)
//   while operations enqueued before still run; the stream copies it to the tensor in its order, over the device's own
//   fast memory. The arrival and the tensor are a double buffer of which the operations, and graphs of them, know one
//   address. The next upload waits, on the device, for the copy that empties the arrival.
// - read: the stream copies to page-locked memory; the waiter, which has waited, from there to the caller's.
#pragma once

#include <array>
#include <atomic>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "allocator.h"
#include "backend.h"
#include "history.h"
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
  friend class Device;
  std::shared_ptr<Device> device_;
  size_t bytes_;
  void* data_;
  std::shared_ptr<Storage> arrival_;  // made by the first prefetch; touched by the caller's thread only
  bool fresh_ = true;                 // of an arrival: nothing was uploaded to it yet; queue thread only
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
  struct Operation {
    const char* name;
    std::function<void(Kernels&)> run;
  };
  std::vector<Operation> operations_;
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
  // Memory of the device; throws an Error where there is not enough. It goes back by memory().free.
  void* allocate(size_t bytes);
  // Of the memory in use, what matrix products work in as long as the device is open.
  size_t workspace_bytes() const { return context_->workspace_bytes(); }
  MemoryStatus memory_status();
  double energy() { return context_->energy(); }

  // Runs `operation` on the queue, after all that came before. If it throws, operations behind it are skipped and the
  // next wait reports the error. `owned` lives until the operation has been issued. `name`, which lives as long as the
  // process, is what messages call it.
  void run(const char* name, std::function<void(Kernels&)> operation, std::vector<std::shared_ptr<Storage>> owned);

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
  // As write, but the transfer runs beside operations enqueued before. Takes owner->bytes() of memory the first time;
  // a write where the device is not asynchronous.
  void prefetch(const std::shared_ptr<Storage>& owner, void* to, const void* host, size_t bytes);

  // Copies from `from` to `host`, which must live until `done` is called (on a thread of the device, or this one).
  void read(const std::shared_ptr<Storage>& owner, const void* from, void* host, size_t bytes, Done done);

  // Ends the device's threads; operations that have not begun, and all that come, are dropped.
  void close();

  // Calls `done` (on a thread of the device) when all operations enqueued so far have finished.
  void synchronize(Done done);

 private:
  friend class Graph;
  // Page-locked memory for a copy; throws an Error where there is none.
  void* staging(size_t bytes);
  void send(const void* host, size_t bytes, std::function<void(const void*)> copy);
  void finish(std::function<void()> issue, std::function<void(bool)> arrived, Done done);
  void instantiate(Graph& graph);
  void release_sent();
  // An operation's part on the queue thread: skipped after a failure, which is kept for the next wait.
  template <typename Part>
  void attempt(const Part& part);
  // The error as callers hear of it. One by which the device is lost says which operations may have been the cause,
  // and is what every later call is refused with.
  std::exception_ptr heard(std::exception_ptr error);
  // Throws if the device is lost.
  void require_device() const;
  // What the context answers on the caller's thread; its errors as callers hear of them.
  template <typename Question>
  auto asked(const Question& question) -> decltype(question());
  // "cuda:0 (NVIDIA H100 80GB HBM3)"
  std::string label() const;

  std::string backend_;
  int index_;
  int threads_;
  DeviceInfo info_;
  std::unique_ptr<Context> context_;
  std::unique_ptr<Allocator> memory_;
  std::unique_ptr<Allocator> host_memory_;
  std::shared_ptr<Graph> capture_;  // what is being recorded; touched by the caller's thread only
  std::exception_ptr failure_;      // of an operation, as it was issued; queue thread only
  History history_;
  mutable std::mutex lost_mutex_;
  std::exception_ptr lost_;  // why the device can do nothing more
  // Of the waiter only: a failure of the stream that no caller has heard of yet, and blocks of writes and prefetches
  // that it has not seen the end of.
  std::exception_ptr waited_failure_;
  std::vector<void*> sent_;
  size_t sent_bytes_ = 0;
  std::array<std::atomic<bool>, kMarks> marked_{};  // slots that the queue has come by
  // Waits for the stream so that the queue need not; destroyed after the queue, which feeds it.
  std::unique_ptr<Worker> waiter_;
  std::unique_ptr<Worker> queue_;
};

}  // namespace nextpatch
