// The operations of core/collectives.h on host memory, over any engine: each rank sends its part to each other one.
// Compiled into each backend whose devices have host memory.
#pragma once

#include <atomic>
#include <string>
#include <vector>

#include "../core/collectives.h"
#include "engine.h"

namespace nextpatch {

class HostCollectives final : public Collectives {
 public:
  // Makes this process a rank.
  explicit HostCollectives(const Engine& engine);

  RankInfo info() const override { return {rank_, size_, engine_.host()}; }
  uint64_t sent_bytes() const override { return sent_; }
  Progress progress() const override { return {begun_, advanced_, begun_ != done_}; }
  void reduce_scatter(const View& out, const View& in) override;
  void all_gather(const View& out, const View& in) override;
  void all_reduce(const View& values) override;
  void leave() override;
  void stop() override { engine_.stop(); }

 private:
  // What a rank calls; equal on all of them.
  struct Header {
    int64_t operation;
    int64_t bytes;
  };

  // An operation, from this rank's call to its end.
  class Turn {
   public:
    explicit Turn(HostCollectives& all) : all_(all) { ++all_.begun_; }
    ~Turn() { ++all_.done_; }
    Turn(const Turn&) = delete;
    Turn& operator=(const Turn&) = delete;

   private:
    HostCollectives& all_;
  };

  // Waits for the other ranks' call and throws an Error if one is another. Else a rank could wait for ever for what
  // another never sends, or take for its own what was meant for the next call.
  void agree(int64_t operation, int64_t bytes);
  void exchange(const std::vector<Message>& messages, bool patient);
  // A rank that is `step` places behind or before this one: with each step, all ranks send to different ones.
  int behind(int step) const { return (rank_ + step) % size_; }
  int before(int step) const { return (rank_ + size_ - step) % size_; }
  // sum[count] = the sum over the ranks of the part of theirs that is this rank's. `part` of `values` is rank i's from
  // starts[i] to starts[i + 1]. sum may be this rank's part.
  void sum_parts(float* sum, const float* values, const std::vector<int64_t>& starts);
  // Gives the others this rank's part of `data`, and fills in theirs; starts in bytes.
  void gather_parts(char* data, const std::vector<int64_t>& starts);

  const Engine& engine_;
  int rank_ = 0;
  int size_ = 1;
  std::atomic<uint64_t> sent_{0};
  std::atomic<uint64_t> begun_{0}, advanced_{0}, done_{0};
  std::string broken_;  // the engine's first problem: what was being sent may still be on its way
  std::vector<float> arrived_;
};

}  // namespace nextpatch
