// A rank that watches over the others, and does what it is told. Arguments: rank, size, port, timeout; then on standard
// input, a line each: "step", "depart", "begin" and "end" (of an operation on all ranks), "leave", "fail"
// (as by an error of its own). Says on standard output how each departure ends, and "port N" first (rank 0).
#include "../../native/core/liveness.h"

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <string>
#include <utility>

#include "../../native/core/error.h"

using namespace nextpatch;

namespace {

void say(const std::string& line) {
  std::printf("%s\n", line.c_str());
  std::fflush(stdout);
}

class Operations final : public Collectives {
 public:
  RankInfo info() const override { return {}; }
  uint64_t sent_bytes() const override { return 0; }
  Progress progress() const override { return {begun, ended, begun != ended}; }
  void reduce_scatter(const View&, const View&) override {}
  void all_gather(const View&, const View&) override {}
  void all_reduce(const View&) override {}
  void leave() override {}
  void stop() override {}
  void abandon() override { say("abandoned"); }

  std::atomic<uint64_t> begun{0}, ended{0};
};

std::unique_ptr<Rendezvous> meet(int rank, int size, int port) {
  if (rank != 0) return Rendezvous::connect(rank, size, {{"127.0.0.1"}, port, 5}, 20);
  Rendezvous::Door door(port);
  say("port " + std::to_string(door.port()));
  return Rendezvous::accept(std::move(door), size, 5, 20);
}

}  // namespace

int main(int count, char** args) {
  if (count != 5) return 2;
  try {
    const auto ranks = meet(std::atoi(args[1]), std::atoi(args[2]), std::atoi(args[3]));
    Operations operations;
    Watch watch(*ranks, operations, std::atof(args[4]));
    say("met");
    for (std::string line; std::getline(std::cin, line);) {
      if (line == "step") watch.step();
      if (line == "depart") watch.depart([](const std::string& problem) { say(problem.empty() ? "departed" : problem); });
      if (line == "begin") ++operations.begun;
      if (line == "end") operations.ended = operations.begun.load();
      if (line == "leave") watch.leave();
      if (line == "fail") watch.fail();
    }
    return 0;
  } catch (const Error& error) {
    say(error.what());
    return 1;
  }
}
