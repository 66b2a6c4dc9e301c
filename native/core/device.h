// An opened device: its memory, and its queue of operations, which run in order on a separate thread.
//
// The queue's order is what keeps memory apart. A block that its last owner releases serves the next allocation at
// once, though operations in the queue still use it: whatever its next owner does with it is enqueued behind them.
// Three kinds of use are outside of that order. Of operations on all ranks beside the queue, the device owns the blocks
// until it has enqueued what waits for them; of recorded operations, the graph owns them; and the system gets a block
// back only when the queue has passed all operations that were enqueued before its release. What an asynchronous device
// may still be computing then, its own way of freeing memory waits for.
//
// A caller that is far ahead of the queue waits: for the number of operations in it, and for the bytes of writes.
//
// An asynchronous device computes while the queue goes on: the queue thread issues, the stream computes, and the
// waiter thread waits for the stream. No copy blocks another:
// - write: the data is copied to page-locked memory at once; the stream copies it from there in stream order.
// - prefetch: from page-locked memory a second stream copies the data to a second buffer on the device (the tensor's
//   arrival) while operations enqueued before still run. The main stream then copies it to the tensor, in stream
//   order and at the speed of device memory. This is a double buffer in which operations, and graphs of them, see only
//   one address. The next upload waits, on the device, for the copy that empties the arrival.
// - read: the stream copies to page-locked memory; the waiter, once that is done, copies to the caller's memory.
#pragma once

#include <array>
#include <atomic>
#include <deque>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "allocator.h"
#include "backend.h"
#include "backlog.h"
#include "history.h"
#include "liveness.h"
#include "worker.h"

namespace nextpatch {

class Device;

// A block of device memory, returned to the allocator when its last owner releases it.
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
  // Made by the first prefetch.
  std::unique_ptr<Storage> arrival_;
  std::shared_ptr<bool> fresh_;  // whether no upload has used the arrival yet; what it points to: queue thread only
};

// Operations recorded once, to be run repeatedly on the same memory: as a device graph if the device has graphs,
// else one by one. Owns all storages they use, until they are released.
class Graph {
 public:
  ~Graph();
  const std::shared_ptr<Device>& device() const { return device_; }
  // There will be no other launch. Those in the queue run before whatever uses the memory next.
  void release() { owned_.clear(); }

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
  int collectives_ = 0;     // operations on all ranks
  void* native_ = nullptr;  // queue thread only
};

// Takes operations that ran, or failed, from those that the other ranks still wait for. One that is skipped after a
// failure stays among them.
class Finished {
 public:
  Finished(std::atomic<int>& unfinished, int count) : unfinished_(unfinished), count_(count) {}
  ~Finished() { unfinished_ -= count_; }
  Finished(const Finished&) = delete;
  Finished& operator=(const Finished&) = delete;

 private:
  std::atomic<int>& unfinished_;
  int count_;
};

class Device : public std::enable_shared_from_this<Device> {
 public:
  // nullptr, or the error of the first operation that failed since the last wait.
  using Done = std::function<void(std::exception_ptr)>;

  Device(std::string backend, int index, int threads, DeviceInfo info, std::unique_ptr<Context> context);
  ~Device();

  const std::string& backend() const { return backend_; }
  int index() const { return index_; }
  int threads() const { return threads_; }  // as requested; 0: all
  const DeviceInfo& info() const { return info_; }
  // "cuda:0 (NVIDIA H100 80GB HBM3)"
  std::string label() const;
  const Kernels& kernels() const { return context_->kernels(); }
  Allocator& memory() { return *memory_; }
  Allocator& host_memory() { return *host_memory_; }
  // Device memory; throws an Error if there is not enough, even when the queue has come to its end and no free block is
  // kept. Any use of it is an operation in the queue.
  void* allocate(size_t bytes);
  void release(void* data) { memory_->free(data, queue_->enqueued()); }
  // Returns the free blocks to the system that no operation in the queue uses.
  void trim();
  // The workspace of matrix products: part of the memory in use as long as the device is open.
  size_t workspace_bytes() const { return context_->workspace_bytes(); }
  // As Context's: call its methods in an operation.
  Products* products() { return context_->products(); }
  MemoryStatus memory_status();
  double energy() { return context_->energy(); }

  // Runs `operation` on the queue, after all that came before. If it throws, operations behind it are skipped and the
  // next wait reports the error. `owned`: what it uses. `name`, which lives as long as the process, is what messages
  // call it.
  void run(const char* name, std::function<void(Kernels&)> operation, std::vector<std::shared_ptr<Storage>> owned);

  // Makes the process a rank, by the engine, and watches over the others; `timeout`: seconds in an operation on all
  // ranks after which one that has not come to it hangs. `done` is called on the queue thread.
  void join(const Engine& engine, double timeout, Done done);
  // The same by the library of the device's backend. The ranks meet at rank 0's port, which the others find at the
  // address; a rank alone needs neither.
  void meet(int rank, int size, const std::string& address, int port, double timeout, Done done);
  // The operations on all ranks; nullptr: the device has not joined, or has left.
  const Collectives* collectives() const { return left_ ? nullptr : joined_.load(); }
  // As run, for such an operation. `beside`: what is enqueued after it does not wait for it before await_collectives,
  // or a wait of the caller, and touches none of its tensors until then.
  void collect(const char* name, std::function<void(Collectives&)> operation,
               std::vector<std::shared_ptr<Storage>> owned, bool beside = false);
  // What is enqueued from here on waits for all such operations but the last `left`.
  void await_collectives(const char* name, size_t left);
  // A step of a loop that all ranks are in begins.
  void begin_step();
  // This rank has left the loop; `done` is called, on a thread of the device, once all have, after the same step, or
  // with an Error that says which has gone on.
  void leave_loop(Done done);
  // The last operation on all ranks, after all that came before.
  void leave(Done done);

  // From here to end_capture, operations are recorded instead of run. Until then, copies to and from the host, and
  // waits, are errors.
  void begin_capture();
  std::shared_ptr<Graph> end_capture();
  // Throws an Error if operations are being recorded: `what` cannot be part of a graph.
  void require_no_capture(const char* what) const;
  // Runs a graph's operations, after everything enqueued before.
  void launch(const std::shared_ptr<Graph>& graph);

  // Records a timestamp when the queue reaches this point. Call seconds_between after a wait; it throws an Error
  // if a slot was never marked.
  void mark(int slot);
  double seconds_between(int first, int second);

  // Copies `bytes` from `host` (which may be changed as soon as this returns) to `to`.
  void write(void* to, const void* host, size_t bytes);
  // As write, but the transfer overlaps operations enqueued before. Takes owner.bytes() of memory the first time.
  // The same as write if the device is not asynchronous.
  void prefetch(Storage& owner, void* to, const void* host, size_t bytes);

  // Copies from `from` to `host`, which must live until `done` is called (on a thread of the device, or this one).
  void read(const void* from, void* host, size_t bytes, Done done);

  // Ends the device's threads; operations that have not begun, and later ones, are dropped. A rank leaves the others
  // first, if `in_order`, which may wait for them. Returns why the others must not wait for this one: it did not leave,
  // with operations on all ranks that were not done. Else nothing.
  std::string close(bool in_order = true);

  // Calls `done` (on a thread of the device) when all operations enqueued so far have finished.
  void synchronize(Done done);

 private:
  friend class Graph;
  // Waits while the queue has as many jobs as it may.
  void await_room();
  // Page-locked memory for a copy; throws an Error if there is not enough.
  void* staging(size_t bytes);
  void send(const void* host, size_t bytes, std::function<void(const void*)> copy);
  void finish(std::function<void()> issue, std::function<void(bool)> arrived, Done done);
  void instantiate(Graph& graph);
  void release_sent();
  // On the queue thread: the end of meet.
  void open(Rendezvous& ranks, double timeout);
  // On the queue thread: await_collectives.
  void join_communication(size_t left);
  // An operation's part on the queue thread: skipped after a failure, which is kept for the next wait.
  template <typename Part>
  void attempt(const Part& part);
  void fail(std::exception_ptr error);
  // The error as callers hear of it. One by which the device is lost says which operations may have been the cause,
  // and is what every later call is refused with.
  std::exception_ptr heard(std::exception_ptr error);
  // Throws if the device is lost.
  void require_device() const;
  // What the context answers on the caller's thread; its errors as callers hear of them.
  template <typename Question>
  auto asked(const Question& question) -> decltype(question());
  std::string backend_;
  int index_;
  int threads_;
  DeviceInfo info_;
  std::unique_ptr<Context> context_;
  const Engine* engine_ = nullptr;  // queue thread only, as what it points to next
  std::unique_ptr<Communication> communication_;
  std::unique_ptr<Watch> watch_;
  // What operations beside the queue use, until what waits for them is enqueued. Caller's thread only.
  std::deque<std::vector<std::shared_ptr<Storage>>> beside_;
  std::atomic<Collectives*> joined_{nullptr};
  std::atomic<bool> left_{false};
  std::atomic<int> unfinished_{0};  // operations on all ranks, enqueued and not run
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
  Backlog written_;                                 // of writes in the queue; caller's thread only
  Backlog issued_;                                  // of those that the waiter has not come to; queue thread only
  std::array<std::atomic<bool>, kMarks> marked_{};  // slots that the queue has marked
  // Waits for the stream so that the queue need not; destroyed after the queue, which enqueues to it.
  std::unique_ptr<Worker> waiter_;
  std::unique_ptr<Worker> queue_;
};

}  // namespace nextpatch
