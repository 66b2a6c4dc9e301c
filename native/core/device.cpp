#include "device.h"

#include <cstring>
#include <utility>

#include "error.h"

namespace nextpatch {

Storage::Storage(std::shared_ptr<Device> device, size_t bytes) : device_(std::move(device)), bytes_(bytes) {
  data_ = device_->memory().allocate(bytes);
  if (data_) return;
  const MemoryStatus status = device_->memory_status();
  throw Error::out_of_memory("out of memory on " + device_->info().name + ": asked for " +
                                 std::to_string(bytes) + " bytes, " + std::to_string(status.free_bytes) +
                                 " of " + std::to_string(status.total_bytes) + " are free",
                             int64_t(bytes), status.free_bytes);
}

Storage::~Storage() { device_->memory().free(data_); }

Device::Device(std::string backend, int index, int threads, DeviceInfo info, std::unique_ptr<Context> context)
    : backend_(std::move(backend)),
      index_(index),
      threads_(threads),
      info_(std::move(info)),
      context_(std::move(context)) {
  Context* c = context_.get();
  memory_ = std::make_unique<Allocator>([c](size_t n) { return c->allocate(n); }, [c](void* p) { c->free(p); });
  host_memory_ = std::make_unique<Allocator>([c](size_t n) { return c->allocate_host(n); },
                                             [c](void* p) { c->free_host(p); });
  waiter_ = std::make_unique<Worker>();
  queue_ = std::make_unique<Worker>([c] { c->enter(); });
}

void Device::close() {
  queue_->close();
  waiter_->close();
}

Device::~Device() {
  close();
  for (const auto& [ticket, block] : staging_) host_memory_->free(block);
}

void Device::run(std::function<void(Kernels&)> operation, std::vector<std::shared_ptr<Storage>> owned) {
  if (capture_) {
    capture_->operations_.push_back(std::move(operation));
    capture_->owned_.insert(capture_->owned_.end(), owned.begin(), owned.end());
    return;
  }
  queue_->enqueue([this, operation = std::move(operation), owned = std::move(owned)] {
    if (failure_) return;
    try {
      operation(context_->kernels());
    } catch (...) {
      failure_ = std::current_exception();
    }
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
  return graph;
}

// Where the device has graphs, the operations are issued once into one; where that fails, so does the next wait.
void Device::instantiate(Graph& graph) {
  std::exception_ptr failure;
  const auto attempt = [&failure](const auto& part) {
    try {
      part();
    } catch (...) {
      if (!failure) failure = std::current_exception();
    }
  };
  bool capturing = false;
  attempt([&] { capturing = context_->begin_capture(); });
  if (capturing) {
    attempt([&] {
      for (const auto& operation : graph.operations_) operation(context_->kernels());
    });
    // Also after a failure: the stream must leave capture mode.
    attempt([&] { graph.native_ = context_->end_capture(); });
  }
  if (!failure) return;
  if (graph.native_) context_->destroy_graph(std::exchange(graph.native_, nullptr));  // a part of the operations only
  if (!failure_) failure_ = failure;
}

void Device::launch(const std::shared_ptr<Graph>& graph) {
  require_no_capture("launch");
  queue_->enqueue([this, graph] {
    if (failure_) return;
    try {
      if (graph->native_) {
        context_->replay(graph->native_);
      } else {
        for (const auto& operation : graph->operations_) operation(context_->kernels());
      }
      for (const int slot : graph->marks_) marked_[size_t(slot)] = true;
    } catch (...) {
      failure_ = std::current_exception();
    }
  });
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
  const bool captured = capture_ != nullptr;  // then it is the launch that marks
  if (captured) capture_->marks_.push_back(slot);
  run(
      [this, slot, captured](Kernels&) {
        context_->mark(slot);
        if (!captured) marked_[size_t(slot)] = true;
      },
      {});
}

double Device::seconds_between(int first, int second) {
  for (const int slot : {first, second}) {
    if (!marked_[size_t(slot)])
      throw Error(ErrorKind::range, "mark: slot " + std::to_string(slot) + " was never marked");
  }
  return context_->seconds_between(first, second);
}

void Device::write(const std::shared_ptr<Storage>& owner, void* to, const void* host, size_t bytes) {
  require_no_capture("write");
  void* staging = host_memory_->allocate(bytes);
  if (!staging) {
    throw Error::out_of_memory("out of host memory for a copy of " + std::to_string(bytes) + " bytes",
                               int64_t(bytes), 0);
  }
  std::memcpy(staging, host, bytes);
  queue_->enqueue([this, owner, to, staging, bytes] {
    if (failure_) return host_memory_->free(staging);
    try {
      context_->copy_from_host(to, staging, bytes);
      staging_.emplace_back(context_->record(), staging);
    } catch (...) {
      failure_ = std::current_exception();  // the block is left alone: the copy may be under way
    }
    release_staging();
  });
}

void Device::read(const std::shared_ptr<Storage>& owner, const void* from, void* host, size_t bytes, Done done) {
  finish([this, owner, from, host, bytes] { context_->copy_to_host(host, from, bytes); }, std::move(done));
}

void Device::synchronize(Done done) {
  finish([] {}, std::move(done));
}

// Issues the last operation, then hands over to the waiter: the queue goes on while the stream drains.
void Device::finish(std::function<void()> issue, Done done) {
  queue_->enqueue([this, issue = std::move(issue), done = std::move(done)] {
    std::exception_ptr failure = std::exchange(failure_, nullptr);
    Ticket ticket = 0;
    try {
      if (!failure) issue();
      ticket = context_->record();
    } catch (...) {
      if (!failure) failure = std::current_exception();
    }
    waiter_->enqueue([this, ticket, failure, done] {
      std::exception_ptr outcome = failure;
      try {
        context_->wait(ticket);
      } catch (...) {
        if (!outcome) outcome = std::current_exception();
      }
      done(outcome);
    });
    release_staging();
  });
}

void Device::release_staging() {
  size_t kept = 0;
  for (const auto& entry : staging_) {
    if (context_->reached(entry.first)) {
      host_memory_->free(entry.second);
    } else {
      staging_[kept++] = entry;
    }
  }
  staging_.resize(kept);
}

}  // namespace nextpatch
