#include "side_stream.h"

#include <cstdlib>
#include <cstring>

#include "check.h"

namespace nextpatch::cuda {
namespace {

bool wanted() {
  const char* const setting = std::getenv("NEXTPATCH_SIDE_STREAM");
  return !setting || std::strcmp(setting, "0") != 0;
}

}  // namespace

// Delegated to, so that the destructor runs if opening fails half-way.
SideStream::SideStream(cudaStream_t main) : SideStream() {
  main_ = main;
  if (!wanted()) return;
  const auto open = [](cudaEvent_t& event) {
    check(cudaEventCreateWithFlags(&event, cudaEventDisableTiming), "open", "cudaEventCreate failed");
  };
  check(cudaStreamCreateWithFlags(&side_, cudaStreamNonBlocking), "open", "cudaStreamCreate failed");
  open(forked_);
  for (Pending& pending : pending_) open(pending.done);
}

SideStream::~SideStream() {
  if (side_) cudaStreamSynchronize(side_);
  if (forked_) cudaEventDestroy(forked_);
  for (const Pending& pending : pending_)
    if (pending.done) cudaEventDestroy(pending.done);
  if (side_) cudaStreamDestroy(side_);
}

cudaStream_t SideStream::fork() {
  if (!side_) return main_;
  check(cudaEventRecord(forked_, main_), "matmul");
  check(cudaStreamWaitEvent(side_, forked_, 0), "matmul");
  return side_;
}

void SideStream::finish(const void* result) {
  if (!side_) return;
  join_slot(next_);  // its event is used again
  Pending& pending = pending_[next_];
  check(cudaEventRecord(pending.done, side_), "matmul");
  pending.result = result;
  next_ = (next_ + 1) % pending_.size();
}

void SideStream::join(const void* result) {
  for (size_t age = 1; age <= pending_.size(); ++age) {
    const size_t index = (next_ + pending_.size() - age) % pending_.size();
    if (pending_[index].result == result) return join_slot(index);
  }
}

void SideStream::join_all() { join_slot((next_ + pending_.size() - 1) % pending_.size()); }

void SideStream::join_slot(size_t index) {
  if (!pending_[index].result) return;
  check(cudaStreamWaitEvent(main_, pending_[index].done, 0), "matmul");
  // The stream runs in order, so all that is older is done too.
  for (size_t each = next_;; each = (each + 1) % pending_.size()) {
    pending_[each].result = nullptr;
    if (each == index) break;
  }
}

}  // namespace nextpatch::cuda
