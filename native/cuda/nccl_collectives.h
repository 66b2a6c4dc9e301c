// The operations of core/collectives.h on NCCL: one communicator, all of whose operations go to one stream.
//
// NCCL compares no calls. Where one rank's call is another than the others', all wait, until the timeout of
// core/liveness.h.
#pragma once

#include <cuda_runtime.h>

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <thread>

#include "../core/collectives.h"
#include "../core/rendezvous.h"
#include "nccl.h"
#include "stream_progress.h"

namespace nextpatch::cuda {

class NcclCollectives final : public Collectives {
 public:
  // On the current device, as is `open`, which makes the communicator and waits for all ranks.
  NcclCollectives(Rendezvous& ranks, cudaStream_t stream);
  ~NcclCollectives() override;

  void open() override;
  RankInfo info() const override { return place_; }
  uint64_t sent_bytes() const override { return sent_; }
  Progress progress() const override;
  void reduce_scatter(const View& out, const View& in) override;
  void all_gather(const View& out, const View& in) override;
  void all_reduce(const View& values) override;
  void leave() override;
  void stop() override { abort("this rank is leaving"); }
  void abandon() override;

  // Between them operations are recorded, in a graph that counts as sent what its launches send.
  void begin_recording() { recording_ = true; }
  void end_recording(const void* graph);
  void launched(const void* graph);
  void destroyed(const void* graph) { recorded_.erase(graph); }

  // Throws the Error of a communicator that failed while operations ran. Any thread.
  void check() const;

 private:
  // Frees what it has, also if opening fails half-way.
  struct Owned {
    ~Owned();
    void* data = nullptr;  // f32 [1]
  };

  // The communicator, for a call of the operation; throws if there is none any more.
  nc::Communicator communicator(const char* operation) const;
  // Enqueues an operation, between the counts of its begin and its end.
  template <typename Part>
  void enqueue(const char* operation, Part part);
  void require(nc::Result result, const char* operation);
  void count(uint64_t bytes);
  std::string text_of(nc::Result result) const;
  // Ends what runs; `why` is the Error of all that comes later. Only the first call counts. The second: with the mutex.
  void abort(const std::string& why);
  void abort_locked(const std::string& why);
  // Looks for errors that no call returns, such as a connection that is lost.
  void watch();

  const Nccl& api_;
  const RankInfo place_;
  const cudaStream_t stream_;
  Owned owned_;
  const StreamProgress progress_;
  nc::UniqueId id_{};
  std::atomic<uint64_t> sent_{0};
  bool recording_ = false;
  uint64_t recorded_bytes_ = 0;
  std::map<const void*, uint64_t> recorded_;  // by graph, what each launch sends

  mutable std::mutex mutex_;
  nc::Communicator communicator_ = nullptr;
  bool failed_ = false;
  std::string problem_;  // why there is no communicator
  bool ending_ = false;
  std::condition_variable ends_;
  std::thread watcher_;
};

}  // namespace nextpatch::cuda
