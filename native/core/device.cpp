#include "device.h"

#include <cstring>

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

Device::Device(std::string backend, int index, DeviceInfo info, std::unique_ptr<Context> context)
    : backend_(std::move(backend)), index_(index), info_(std::move(info)), context_(std::move(context)) {
  Context* c = context_.get();
  memory_ = std::make_unique<Allocator>([c](size_t n) { return c->allocate(n); }, [c](void* p) { c->free(p); });
  host_memory_ = std::make_unique<Allocator>([c](size_t n) { return c->allocate_host(n); },
                                             [c](void* p) { c->free_host(p); });
  waiter_ = std::make_unique<Worker>();
  queue_ = std::make_unique<Worker>([c] { c->enter(); });
}

Device::~Device() {
  queue_.reset();
  waiter_.reset();
  for (const auto& [ticket, block] : staging_) host_memory_->free(block);
}

void Device::run(std::function<void(Kernels&)> operation, std::vector<std::shared_ptr<Storage>> owned) {
  queue_->enqueue([this, operation = std::move(operation), owned = std::move(owned)] {
    if (failure_) return;
    try {
      operation(context_->kernels());
    } catch (...) {
      failure_ = std::current_exception();
    }
  });
}

void Device::write(const std::shared_ptr<Storage>& owner, void* to, const void* host, size_t bytes) {
  void* staging = host_memory_->allocate(bytes);
  if (!staging) {
    throw Error::out_of_memory("out of host memory for a copy of " + std::to_string(bytes) + " bytes",
                               int64_t(bytes), 0);
  }
  std::memcpy(staging, host, bytes);
  queue_->enqueue([this, owner, to, staging, bytes] {
    try {
      if (!failure_) context_->copy_from_host(to, staging, bytes);
    } catch (...) {
      failure_ = std::current_exception();
    }
    staging_.emplace_back(context_->record(), staging);
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
      failure = std::current_exception();
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
