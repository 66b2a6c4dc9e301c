#include "communication.h"

#include "check.h"

namespace nextpatch::cuda {
namespace {

cudaEvent_t make_event() {
  cudaEvent_t event = nullptr;
  check(cudaEventCreateWithFlags(&event, cudaEventDisableTiming), "join", "cudaEventCreate failed");
  return event;
}

}  // namespace

StreamCommunication::StreamCommunication(
    cudaStream_t computing, const std::function<std::unique_ptr<Collectives>(cudaStream_t communicating)>& open)
    : computing_(computing) {
  check(cudaStreamCreateWithFlags(&owned_.stream, cudaStreamNonBlocking), "join", "cudaStreamCreate failed");
  owned_.forked = make_event();
  owned_.all = open(owned_.stream);
}

StreamCommunication::~StreamCommunication() = default;

StreamCommunication::Owned::~Owned() {
  if (stream) cudaStreamSynchronize(stream);
  all.reset();
  for (cudaEvent_t event : events) cudaEventDestroy(event);
  if (forked) cudaEventDestroy(forked);
  if (stream) cudaStreamDestroy(stream);
}

void StreamCommunication::enqueue(std::function<void(Collectives&)> operation, bool beside) {
  check(cudaEventRecord(owned_.forked, computing_), "fork");
  check(cudaStreamWaitEvent(owned_.stream, owned_.forked, 0), "fork");
  if (free_.empty()) {
    owned_.events.push_back(make_event());
    free_.push_back(owned_.events.back());
  }
  const cudaEvent_t done = free_.back();
  // Also after a failure: a capture ends only where all its streams have been joined.
  const auto end = [&] {
    check(cudaEventRecord(done, owned_.stream), "fork");
    free_.pop_back();
    running_.push_back(done);
  };
  try {
    operation(*owned_.all);
  } catch (...) {
    end();
    throw;
  }
  end();
  if (!beside) await(0);
}

void StreamCommunication::await(size_t left) {
  if (running_.size() <= left) return;
  // The last one's end is behind the others': they are in one stream.
  check(cudaStreamWaitEvent(computing_, running_[running_.size() - left - 1], 0), "join");
  for (; running_.size() > left; running_.pop_front()) free_.push_back(running_.front());
}

}  // namespace nextpatch::cuda
