// The block that runs: its threads, its shared memory, and what they wait for.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "include/simt/vector_types.h"

namespace nextpatch::simt {

class Fiber;

// A cp.async that was issued and has not arrived.
struct AsyncCopy {
  void* shared;
  const void* global;
  size_t bytes;
  size_t read_bytes;  // the rest is zeros
  int group;
};

struct Thread {
  enum class State : uint8_t { ready, waiting, done };
  uint3 index{};
  int linear = 0;
  State state = State::ready;
  Fiber* fiber = nullptr;  // nullptr: not begun, or done
  // What it waits for, for the message when it waits for ever.
  const char* waits_at = nullptr;
  unsigned waits_for = 0;  // a lane mask, or a barrier's number
  std::vector<AsyncCopy> copies;
  int copy_group = 0;  // of the copies not yet committed
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
};

struct Barrier {
  int expected = 0;
  std::vector<Thread*> waiting;
};

constexpr int kBarriers = 16;

struct Block {
  std::vector<Thread> threads;
  std::vector<Warp> warps;
  Barrier barriers[kBarriers];
  Thread* current = nullptr;
  char* shared = nullptr;  // exactly as large as asked for, for a sanitizer to see every overrun
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

  // Called when no thread can run: empty if all are done, else who waits for what.
  std::string deadlock() const;
};

std::string text(const uint3& index);

// Of the runner, for collectives.
Block& current_block();
void wait_for_others();

}  // namespace nextpatch::simt
