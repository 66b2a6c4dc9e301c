// Ends all ranks of a run where one is lost, silent or hangs: MPI and NCCL would wait for minutes, or for ever. A
// thread of its own sends beats over the ranks' connections to rank 0, so that a busy event loop is not silence.
//
// - A connection that closes without a word: its rank is lost.
// - No beat for 10 s (NEXTPATCH_SILENCE: other seconds): silence, as of a pulled cable or a stopped process.
// - An operation on all ranks that a rank waits in for longer than the timeout: a hang, of those that have not come to
// it.
//
// Ranks in a loop of steps may leave it, all after the same step: rank 0 compares.
//
// Rank 0 says which in one line on standard error; where rank 0 is lost, the first rank on each machine says so. Then
// the process ends at once with code 1, as its threads may be stuck.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "collectives.h"
#include "rendezvous.h"

namespace nextpatch {

class Watch {
 public:
  // All ranks make one, with what they met by. `watched` outlives it. Rank 0's timeout counts, in seconds.
  Watch(Rendezvous& ranks, Collectives& watched, double timeout);
  ~Watch() { fail(); }
  // This rank begins a step of a loop that all ranks are in. Any thread.
  void step() { ++steps_; }
  // This rank has left the loop after the step. Calls `done`, on a thread of the watch, once all have: with nothing,
  // or, where one has gone on instead, with a sentence of it. Any thread; not again before that.
  void depart(std::function<void(const std::string&)> done);
  // In order, once all ranks have come to do so: from here on no rank is missed.
  void leave() { close(kLeft); }
  // This process ends by an error of its own, which it tells itself; nothing after `leave`.
  void fail() { close(kFailed); }

 private:
  // What is sent: a beat with the sender's progress, rank 0's answer to who has left the loop, or why there are no
  // more.
  enum Kind : uint32_t { kBeat = 0x6e700001, kLeft, kFailed, kEnd, kAllDeparted, kWentOn };
  struct Frame {
    uint32_t kind;
    uint32_t waited;     // ms without progress in an operation
    uint64_t begun;      // operations; of kWentOn: who has gone on
    uint64_t steps;      // of loops
    uint64_t departure;  // the number of the departure in which it waits for the others; 0: in none
  };
  static_assert(sizeof(Frame) == 32);

  struct Peer {
    int rank;
    Socket socket;
    Clock::time_point heard;
    Frame last;
    std::string received, unsent;  // parts of frames
  };

  void run();
  void take(Peer& peer);
  void check_silence();
  void check_hang();
  void check_departure();
  void departed(const Frame& answer);
  Frame beat();
  // This rank's and the others' last beats, on rank 0.
  std::vector<std::pair<int, Frame>> beats();
  void send(Peer& peer, const Frame& frame);
  void send_all_peers(Kind kind);
  void close(Kind kind);
  std::string name(int rank) const;
  [[noreturn]] void missed(const Peer& peer, const std::string& what);
  [[noreturn]] void end(const std::string& line, std::chrono::milliseconds grace);

  Collectives& watched_;
  const int rank_;
  std::vector<std::string> hosts_;  // by rank
  const Clock::duration silence_;
  const Clock::duration interval_;
  const double timeout_;
  std::vector<Peer> peers_;  // of the thread, as what follows
  Progress progress_{};      // at the last change
  Clock::time_point changed_;
  uint64_t departures_ = 0;  // of all ranks, so far
  std::atomic<uint64_t> steps_{0};
  std::function<void(const std::string&)> departing_;  // of who has left the loop, until the others have
  std::mutex departing_mutex_;
  Socket wakes_, woken_;  // the two ends of what wakes the thread, and ends it
  std::mutex closing_;
  std::thread thread_;  // last: begins when all else exists
};

}  // namespace nextpatch
