// The running block: its threads, its shared memory, and what they wait for.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "include/simt/vector_types.h"
#include "wgmma.h"

namespace nextpatch::simt {

class Fiber;

// A cp.async that was issued but is not complete.
struct AsyncCopy {
  void* shared;
  const void* global;
  size_t bytes;
  size_t read_bytes;  // the rest is filled with zeros
  int group;
};

struct Thread {
  enum class State : uint8_t { ready, waiting, done };
  uint3 index{};
  int linear = 0;
  State state = State::ready;
  Fiber* fiber = nullptr;  // nullptr: not started, or done
  // Where it waits, for the message about a deadlock.
  const char* waits_at = nullptr;
  unsigned waits_for = 0;  // a lane mask, or a barrier number
  std::vector<AsyncCopy> copies;
  int copy_group = 0;  // of copies that are not committed yet
};

// Lanes of one warp that meet in a collective.
struct Meeting {
  const char* what;
  unsigned mask;
  unsigned arrived;
  void* lanes[32];
};

struct Warp {
  unsigned alive = 0;  // lanes that exist and have not exited
  std::vector<Meeting> meetings;
  std::vector<WgmmaProduct> wgmmas;  // that are not complete
  int wgmma_group = 0;               // of products that are not committed yet
};

struct Barrier {
  int expected = 0;
  std::vector<Thread*> waiting;
};

constexpr int kBarriers = 16;

struct Block {
  std::vector<Thread> threads;
  std::vector<Warp> warps;
  std::vector<Warpgroup> warpgroups;
  Barrier barriers[kBarriers];
  Thread* current = nullptr;
  char* shared = nullptr;  // exactly the requested size, so that a sanitizer finds every overrun
  size_t shared_bytes = 0;

  void begin_launch(dim3 block, size_t shared_bytes);
  void begin(int poison);
  void finish(Thread& thread) {
    thread.state = Thread::State::done;
    thread.fiber = nullptr;
    thread.copies.clear();
    warps[size_t(thread.linear / 32)].alive &= ~(1u << thread.linear % 32);
  }
  void end_launch();

  // Called when no thread can run: empty if all are done, else which thread waits for what.
  std::string deadlock() const;
};

std::string text(const uint3& index);

// Implemented by the runner, for collectives.
Block& current_block();
void wait_for_others();

}  // namespace nextpatch::simt
