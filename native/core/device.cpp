#include "device.h"

#include <unistd.h>

#include <cstring>
#include <utility>

#include "error.h"

namespace nextpatch {
namespace {

// Staging blocks of writes are freed at the next read or synchronize, so that a loop's use of them does not depend on
// the device's speed. Beyond this many bytes they are freed earlier, so that writing a whole model without a wait in
// between does not take its size in staging memory.
constexpr size_t kMostSentBytes = size_t(64) << 20;

// A caller that has enqueued so many jobs more than have run waits, until there is room for some.
constexpr Position kMostQueued = 4096;
constexpr Position kRoom = 64;

}  // namespace

Storage::Storage(std::shared_ptr<Device> device, size_t bytes)
    : device_(std::move(device)), bytes_(bytes), data_(device_->allocate(bytes)) {}

Storage::~Storage() { device_->release(data_); }

Device::Device(std::string backend, int index, int threads, DeviceInfo info, std::unique_ptr<Context> context)
    : backend_(std::move(backend)),
      index_(index),
      threads_(threads),
      info_(std::move(info)),
      context_(std::move(context)),
      written_(kMostSentBytes),
      issued_(kMostSentBytes) {
  Context* c = context_.get();
  memory_ = std::make_unique<Allocator>([c](size_t n) { return c->allocate(n); }, [c](void* p) { c->free(p); });
  host_memory_ =
      std::make_unique<Allocator>([c](size_t n) { return c->allocate_host(n); }, [c](void* p) { c->free_host(p); });
  waiter_ = std::make_unique<Worker>();
  queue_ = std::make_unique<Worker>();
  if (const size_t bytes = context_->workspace_bytes()) context_->use_workspace(allocate(bytes));
  queue_->enqueue([this] { attempt([this] { context_->enter(); }); });
}

std::string Device::label() const { return backend_ + ":" + std::to_string(index_) + " (" + info_.name + ")"; }

std::exception_ptr Device::heard(std::exception_ptr error) {
  std::lock_guard<std::mutex> lock(lost_mutex_);
  if (lost_) return lost_;
  try {
    std::rethrow_exception(error);
  } catch (const Error& cause) {
    if (!cause.device_lost) return error;
    const std::string suspects = history_.unfinished();
    Error lost(ErrorKind::device, label() + ": the device failed in an operation before this call: " + cause.what() +
                                      (suspects.empty() ? "" : ". It was one of: " + suspects) +
                                      ". The device is lost to this process; restart the process");
    lost.device_lost = true;
    return lost_ = std::make_exception_ptr(lost);
  } catch (...) {
    return error;
  }
}

MemoryStatus Device::memory_status() {
  return asked([this] { return context_->memory(); });
}

template <typename Question>
auto Device::asked(const Question& question) -> decltype(question()) {
  require_device();
  try {
    return question();
  } catch (...) {
    std::rethrow_exception(heard(std::current_exception()));
  }
}

void Device::require_device() const {
  std::lock_guard<std::mutex> lock(lost_mutex_);
  if (lost_) std::rethrow_exception(lost_);
}

template <typename Part>
void Device::attempt(const Part& part) {
  if (failure_) return;
  try {
    part();
  } catch (...) {
    fail(std::current_exception());
  }
}

void Device::fail(std::exception_ptr error) {
  if (failure_) return;
  failure_ = heard(error);
  try {
    join_communication(0);  // what would wait for it is skipped
  } catch (...) {
    // The first failure is the one to report.
  }
}

void* Device::allocate(size_t bytes) {
  const auto ask = [&] { return memory_->allocate(bytes, queue_->passed()); };
  if (void* const data = asked(ask)) return data;
  const AllocatorCounters counters = memory_->counters();
  if (counters.reserved_bytes > counters.used_bytes) {
    queue_->wait(queue_->enqueued());
    if (void* const data = asked(ask)) return data;
  }
  const MemoryStatus status = memory_status();
  throw Error::out_of_memory(
      "out of memory on " + info_.name + ": asked for " + std::to_string(bytes) + " bytes, " + status.text(),
      int64_t(bytes), status.free_bytes);
}

void Device::trim() {
  memory_->trim(queue_->passed());
  host_memory_->trim();
}

Device::~Device() { close(); }

void Device::await_room() {
  const Position enqueued = queue_->enqueued();
  if (enqueued - queue_->passed() >= kMostQueued) queue_->wait(enqueued - kMostQueued + kRoom);
}

void Device::run(const char* name, std::function<void(Kernels&)> operation,
                 std::vector<std::shared_ptr<Storage>> owned) {
  require_device();
  if (capture_) {
    capture_->operations_.push_back({name, std::move(operation)});
    capture_->owned_.insert(capture_->owned_.end(), owned.begin(), owned.end());
    return;
  }
  await_room();
  queue_->enqueue([this, name, operation = std::move(operation)] {
    attempt([&] {
      operation(context_->kernels());
      history_.add(name);
    });
  });
}

void Device::begin_capture() {
  require_no_capture("capture");
  capture_ = std::make_shared<Graph>();
  capture_->device_ = shared_from_this();
}

std::shared_ptr<Graph> Device::end_capture() {
  if (!capture_) throw Error(ErrorKind::device, "endCapture: no capture was begun");
  auto graph = std::exchange(capture_, nullptr);
  queue_->enqueue([this, graph] { instantiate(*graph); });
  beside_.clear();
  return graph;
}

// If the device has graphs, issues the operations once into one; if that fails, the next wait reports it.
void Device::instantiate(Graph& graph) {
  std::exception_ptr failure;
  const auto try_to = [&failure](const auto& part) {
    try {
      part();
    } catch (...) {
      if (!failure) failure = std::current_exception();
    }
  };
  bool capturing = false;
  try_to([&] { join_communication(0); });  // a graph waits for nothing outside of it
  try_to([&] { capturing = context_->begin_capture(); });
  if (capturing) {
    try_to([&] {
      for (const auto& operation : graph.operations_) operation.run(context_->kernels());
    });
    // Also after a failure: all streams must leave capture mode.
    try_to([&] { join_communication(0); });
    try_to([&] { graph.native_ = context_->end_capture(); });
  }
  if (!failure) return;
  if (graph.native_) context_->destroy_graph(std::exchange(graph.native_, nullptr));  // a part of the operations only
  fail(failure);
}

void Device::launch(const std::shared_ptr<Graph>& graph) {
  require_device();
  require_no_capture("launch");
  unfinished_ += graph->collectives_;
  await_room();
  queue_->enqueue([this, graph] {
    attempt([&] {
      const Finished finished(unfinished_, graph->collectives_);
      join_communication(0);  // operations on all ranks keep their order
      if (graph->native_) {
        context_->replay(graph->native_);
      } else {
        std::exception_ptr failure;
        try {
          for (const auto& operation : graph->operations_) operation.run(context_->kernels());
        } catch (...) {
          failure = std::current_exception();
        }
        // Also after a failure: what still runs beside the queue uses the graph's memory.
        try {
          join_communication(0);
        } catch (...) {
          if (!failure) failure = std::current_exception();
        }
        if (failure) std::rethrow_exception(failure);
      }
      for (const auto& operation : graph->operations_) history_.add(operation.name);
      for (const int slot : graph->marks_) marked_[size_t(slot)] = true;
    });
  });
  beside_.clear();
}

Graph::~Graph() {
  if (!native_) return;
  device_->queue_->enqueue([device = device_, native = native_] { device->context_->destroy_graph(native); });
}

void Device::require_no_capture(const char* what) const {
  if (!capture_) return;
  throw Error(ErrorKind::device, std::string(what) + ": not possible while operations are captured");
}

void Device::mark(int slot) {
  const bool captured = capture_ != nullptr;  // then the launch sets marked_
  if (captured) capture_->marks_.push_back(slot);
  run("mark",
      [this, slot, captured](Kernels&) {
        context_->mark(slot);
        if (!captured) marked_[size_t(slot)] = true;
      },
      {});
}

double Device::seconds_between(int first, int second) {
  for (const int slot : {first, second}) {
    if (!marked_[size_t(slot)])
      throw Error(ErrorKind::range, "marks: count: expected slots that were marked but received slot " +
                                        std::to_string(slot) + ", which never was");
  }
  return context_->seconds_between(first, second);
}

void* Device::staging(size_t bytes) {
  void* const block = asked([&] { return host_memory_->allocate(bytes); });
  if (block) return block;
  // The cpu backend's own memory is the host's.
  const int64_t free_bytes = context_->asynchronous() ? int64_t(sysconf(_SC_AVPHYS_PAGES)) * sysconf(_SC_PAGESIZE)
                                                      : memory_status().free_bytes;
  throw Error::out_of_memory("out of host memory for a copy of " + std::to_string(bytes) +
                                 " bytes: " + std::to_string(free_bytes) + " are free",
                             int64_t(bytes), free_bytes);
}

void Device::write(void* to, const void* host, size_t bytes) {
  require_no_capture("write");
  send(host, bytes, [this, to, bytes](const void* block) { context_->copy_from_host(to, block, bytes); });
}

void Device::prefetch(Storage& owner, void* to, const void* host, size_t bytes) {
  require_no_capture("prefetch");
  if (!context_->asynchronous()) return write(to, host, bytes);
  if (!owner.arrival_) {
    owner.arrival_ = std::make_unique<Storage>(shared_from_this(), owner.bytes());
    owner.fresh_ = std::make_shared<bool>(true);
  }
  send(host, bytes, [this, arrival = owner.arrival_->data(), fresh = owner.fresh_, to, bytes](const void* block) {
    context_->upload(to, arrival, block, bytes, *fresh);
    *fresh = false;
  });
}

// Keeps the data in a staging block until the copy from it is done. If issuing the copy fails, the block is kept
// until the device is closed, as the copy may still be running.
void Device::send(const void* host, size_t bytes, std::function<void(const void*)> copy) {
  await_room();
  written_.make_room(*queue_, bytes);
  void* const block = staging(bytes);
  std::memcpy(block, host, bytes);
  queue_->enqueue([this, block, bytes, copy = std::move(copy)] {
    if (failure_) return host_memory_->free(block);
    try {
      copy(block);
      if (!context_->asynchronous()) return host_memory_->free(block);
      const Ticket ticket = context_->record();
      issued_.make_room(*waiter_, bytes);
      waiter_->enqueue([this, ticket, block, bytes] {
        sent_.push_back(block);
        sent_bytes_ += bytes;
        if (sent_bytes_ < kMostSentBytes) return;
        try {
          context_->wait(ticket);
        } catch (...) {
          if (!waited_failure_) waited_failure_ = heard(std::current_exception());
        }
        release_sent();
      });
      issued_.add(*waiter_, bytes);
    } catch (...) {
      fail(std::current_exception());
    }
  });
  written_.add(*queue_, bytes);
}

void Device::read(const void* from, void* host, size_t bytes, Done done) {
  try {
    require_device();
  } catch (...) {
    return done(std::current_exception());
  }
  if (!context_->asynchronous()) {
    finish([this, from, host, bytes] { context_->copy_to_host(host, from, bytes); }, {}, std::move(done));
    return;
  }
  void* block = nullptr;
  try {
    block = staging(bytes);
  } catch (...) {
    return done(std::current_exception());
  }
  finish([this, from, block, bytes] { context_->copy_to_host(block, from, bytes); },
         [this, host, block, bytes](bool intact) {
           if (intact) std::memcpy(host, block, bytes);
           host_memory_->free(block);
         },
         std::move(done));
}

void Device::synchronize(Done done) {
  try {
    require_device();
  } catch (...) {
    return done(std::current_exception());
  }
  finish([] {}, {}, std::move(done));
}

// Issues the last operation, then hands over to the waiter: the queue goes on while the stream drains. `arrived` is
// called before `done`, with whether all work succeeded.
void Device::finish(std::function<void()> issue, std::function<void(bool)> arrived, Done done) {
  queue_->enqueue([this, issue = std::move(issue), arrived = std::move(arrived), done = std::move(done)] {
    std::exception_ptr failure = std::exchange(failure_, nullptr);
    Ticket ticket = 0;
    Epoch epoch = 0;
    try {
      join_communication(0);
      if (!failure) issue();
      ticket = context_->record();
      epoch = history_.close_epoch();
    } catch (...) {
      if (!failure) failure = heard(std::current_exception());
    }
    waiter_->enqueue([this, ticket, epoch, failure, arrived, done] {
      std::exception_ptr outcome = failure;
      if (std::exception_ptr earlier = std::exchange(waited_failure_, nullptr); !outcome) outcome = earlier;
      try {
        context_->wait(ticket);
        history_.finished(epoch);
      } catch (...) {
        if (!outcome) outcome = heard(std::current_exception());
      }
      release_sent();
      if (arrived) arrived(!outcome);
      done(outcome);
    });
  });
  beside_.clear();
}

void Device::release_sent() {
  for (void* block : sent_) host_memory_->free(block);
  sent_.clear();
  sent_bytes_ = 0;
}

}  // namespace nextpatch
