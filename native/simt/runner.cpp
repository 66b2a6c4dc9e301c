// The scheduler: chooses which fiber runs next, and stops kernels that fail.
#include "runner.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <numeric>
#include <utility>
#include <vector>

#include "block.h"
#include "fault.h"
#include "fiber.h"
#include "wgmma.h"

uint3 threadIdx, blockIdx;
dim3 blockDim, gridDim;

namespace nextpatch::simt {
namespace {

#if defined(__SANITIZE_ADDRESS__)
constexpr size_t kStackBytes = 512 * 1024;  // the sanitizer's frames are several times larger
#else
constexpr size_t kStackBytes = 128 * 1024;
#endif
constexpr int kPoison = 0xff;  // NaN as f32 and as bf16, -1 as an integer

Schedule initial_schedule() {
  Schedule schedule;
  const char* text = std::getenv("NEXTPATCH_SIMT_SCHEDULE");
  if (text && *text && !parse_schedule(text, &schedule)) {
    std::fprintf(stderr, "NEXTPATCH_SIMT_SCHEDULE: expected forward, reverse or random:SEED but received %s\n", text);
    std::abort();
  }
  return schedule;
}

// NEXTPATCH_SIMT_BLOCKS=ends: only the first and the last block of every launch run. So a test can have tensors of more
// than 2^31 elements (NEXTPATCH_SIMT_SPARSE) whose other blocks would take hours.
bool ends_only() {
  static const bool is = std::getenv("NEXTPATCH_SIMT_BLOCKS") != nullptr;
  return is;
}

// SplitMix64.
class Random {
 public:
  void seed(uint64_t seed) { state_ = seed; }
  uint64_t below(uint64_t bound) {
    uint64_t z = state_ += 0x9E3779B97F4A7C15u;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return (z ^ (z >> 31)) % bound;
  }

 private:
  uint64_t state_ = 0;
};

// Thrown through the frames of the thread that stops the kernel, so that they free what they own.
struct Stopped {
  std::string why;
};

class Runner {
 public:
  Runner() { set_schedule(initial_schedule()); }

  void set_schedule(const Schedule& schedule) {
    std::lock_guard<std::mutex> lock(mutex_);
    schedule_ = schedule;
    random_.seed(schedule.seed);
  }

  // Without a lock: asked while a kernel runs, which holds it.
  Schedule::Order schedule_order() const { return schedule_.order; }

  size_t choose(size_t count) {
    std::lock_guard<std::mutex> lock(mutex_);
    if (schedule_.order == Schedule::Order::random) return size_t(random_.below(count));
    return schedule_.order == Schedule::Order::reverse ? count - 1 : 0;
  }

  std::string run(const char* kernel, dim3 grid, dim3 block, size_t shared_bytes, const std::function<void()>& thread) {
    std::lock_guard<std::mutex> lock(mutex_);
    thread_ = &thread;
    problem_.clear();
    gridDim = grid;
    blockDim = block;
    block_.begin_launch(block, shared_bytes);
    const uint32_t blocks = grid.x * grid.y * grid.z;
    const int64_t lost = lost_block(kernel, blocks);
    order(&block_order_, blocks);
    thread_order_.clear();
    order(&thread_order_, uint32_t(block_.threads.size()));
    for (uint32_t i = 0; i < blocks && problem_.empty(); ++i) {
      const uint32_t index = block_order_.empty() ? i : block_order_[i];
      if (index == lost || (ends_only() && index != 0 && index != blocks - 1)) continue;
      blockIdx = {index % grid.x, index / grid.x % grid.y, index / (grid.x * grid.y)};
      run_block();
    }
    if (!problem_.empty()) {
      problem_ = std::string(kernel) + ", block " + text(blockIdx) + ", " + problem_;
      abandon();
    }
    block_.end_launch();
    return problem_;
  }

  // The running thread waits for others: other threads run until it is made ready.
  void wait() { hand_over(*block_.current->fiber); }

  Block& block() { return block_; }

  void fiber_main() {
    for (;;) {
      Fiber* const fiber = block_.current->fiber;
      if (!run_thread()) {
        fiber->switch_to(main_);
        std::abort();  // a stopped fiber is never resumed
      }
      block_.finish(*block_.current);
      // A thread that never waits is just a call in this loop, without a stack switch.
      Thread* const next = next_thread();
      if (next && !next->fiber) {
        become(next, fiber);
        continue;
      }
      idle_.push_back(fiber);
      if (next) {
        become(next, next->fiber);
        fiber->switch_to(*next->fiber);
      } else {
        fiber->switch_to(main_);
      }
    }
  }

 private:
  // Whether the thread came to its end; if not, `problem_` says why.
  bool run_thread() {
    try {
      (*thread_)();
      // On a GPU they would still complete, and overwrite what the block stores there by then.
      if (const size_t copies = block_.current->copies.size())
        fail("exits with " + std::to_string(copies) + " cp.async that it never waited for");
      if (has_unfinished_wgmmas(*block_.current)) fail("exits with a wgmma that it never waited for");
      return true;
    } catch (Stopped& stopped) {
      problem_ = std::move(stopped.why);
      return false;
    }
  }

  // Makes the order of the schedule; empty means ascending order.
  void order(std::vector<uint32_t>* order, uint32_t count) {
    order->clear();
    if (schedule_.order == Schedule::Order::forward) return;
    order->resize(count);
    std::iota(order->begin(), order->end(), 0);
    if (schedule_.order == Schedule::Order::reverse) std::reverse(order->begin(), order->end());
    if (schedule_.order == Schedule::Order::random) shuffle(order);
  }

  void shuffle(std::vector<uint32_t>* order) {
    for (size_t i = order->size(); i > 1; --i) std::swap((*order)[i - 1], (*order)[random_.below(i)]);
  }

  void run_block() {
    block_.begin(kPoison);
    // Each sweep gives every thread that can run one turn; a thread that becomes ready behind the sweep's position
    // waits for the next sweep. In a random order a warp gets turns until all its threads wait, so that it runs as far
    // ahead of the others as barriers allow.
    for (;;) {
      position_ = warp_begin_ = warp_end_ = 0;
      warp_ran_ = false;
      if (schedule_.order == Schedule::Order::random) shuffle_warps();
      Thread* const first = next_thread();
      if (!first) break;
      Fiber* const fiber = first->fiber ? first->fiber : idle_fiber();
      become(first, fiber);
      main_.switch_to(*fiber);
      if (!problem_.empty()) return;
    }
    problem_ = block_.deadlock();
    if (problem_.empty()) problem_ = uneven_warpgroup(block_);
  }

  // Turns warp by warp in random order, the lanes of each warp in random order too.
  void shuffle_warps() {
    const uint32_t count = uint32_t(block_.threads.size());
    warp_order_.resize((count + 31) / 32);
    std::iota(warp_order_.begin(), warp_order_.end(), 0);
    shuffle(&warp_order_);
    thread_order_.clear();
    for (const uint32_t warp : warp_order_) {
      lane_order_.resize(std::min(32u, count - warp * 32));
      std::iota(lane_order_.begin(), lane_order_.end(), warp * 32);
      shuffle(&lane_order_);
      thread_order_.insert(thread_order_.end(), lane_order_.begin(), lane_order_.end());
    }
  }

  // At the end of a warp's turns: starts again at its first lane if any of its lanes ran, else goes to the next warp.
  void end_of_warp() {
    if (warp_ran_) {
      position_ = warp_begin_;
    } else {
      warp_begin_ = position_;
      const uint32_t warp = thread_order_[position_] / 32;
      while (warp_end_ < thread_order_.size() && thread_order_[warp_end_] / 32 == warp) ++warp_end_;
    }
    warp_ran_ = false;
  }

  Thread* next_thread() {
    const bool by_warps = schedule_.order == Schedule::Order::random;
    for (;;) {
      const bool last = position_ == block_.threads.size();
      if (by_warps && position_ == warp_end_ && (warp_ran_ || !last)) end_of_warp();
      if (position_ == block_.threads.size()) return nullptr;
      const size_t turn = position_++;
      Thread& thread = block_.threads[thread_order_.empty() ? turn : thread_order_[turn]];
      if (thread.state != Thread::State::ready) continue;
      warp_ran_ = true;
      return &thread;
    }
  }

  void become(Thread* thread, Fiber* fiber) {
    thread->fiber = fiber;
    block_.current = thread;
    threadIdx = thread->index;
  }

  void hand_over(Fiber& from) {
    Thread* const next = next_thread();
    if (!next) return from.switch_to(main_);
    Fiber* const fiber = next->fiber ? next->fiber : idle_fiber();
    become(next, fiber);
    from.switch_to(*fiber);
  }

  Fiber* idle_fiber();

  // After a kernel was stopped: resets its fibers, which were interrupted in the middle of their work.
  void abandon() {
    idle_.clear();
    for (auto& fiber : fibers_) {
      fiber->reset();
      idle_.push_back(fiber.get());
    }
  }

  std::mutex mutex_;
  Schedule schedule_;
  Random random_;
  Fiber main_;
  std::vector<std::unique_ptr<Fiber>> fibers_;
  std::vector<Fiber*> idle_;
  Block block_;
  std::vector<uint32_t> block_order_, thread_order_, warp_order_, lane_order_;
  size_t position_ = 0;
  size_t warp_begin_ = 0, warp_end_ = 0;  // the turns of the running warp, if the order is random
  bool warp_ran_ = false;                 // since its turns began
  const std::function<void()>* thread_ = nullptr;
  std::string problem_;
};

// Never destroyed, as kernels may run until the process ends.
Runner& runner() {
  static Runner* const runner = new Runner;
  return *runner;
}

void fiber_entry() { runner().fiber_main(); }

Fiber* Runner::idle_fiber() {
  if (idle_.empty()) {
    fibers_.push_back(std::make_unique<Fiber>(kStackBytes, &fiber_entry));
    idle_.push_back(fibers_.back().get());
  }
  Fiber* const fiber = idle_.back();
  idle_.pop_back();
  return fiber;
}

}  // namespace

bool parse_schedule(const char* text, Schedule* schedule) {
  const std::string order = text;
  if (order == "forward") return *schedule = {Schedule::Order::forward, 0}, true;
  if (order == "reverse") return *schedule = {Schedule::Order::reverse, 0}, true;
  if (order.rfind("random:", 0) != 0 || order.size() == 7) return false;
  char* end = nullptr;
  const uint64_t seed = std::strtoull(text + 7, &end, 10);
  if (*end != '\0') return false;
  return *schedule = {Schedule::Order::random, seed}, true;
}

void set_schedule(const Schedule& schedule) { runner().set_schedule(schedule); }

Schedule::Order schedule_order() { return runner().schedule_order(); }

size_t choose(size_t count) { return runner().choose(count); }

std::string run_grid(const char* kernel, dim3 grid, dim3 block, size_t shared_bytes,
                     const std::function<void()>& thread) {
  return runner().run(kernel, grid, block, shared_bytes, thread);
}

Block& current_block() { return runner().block(); }
void wait_for_others() { runner().wait(); }

void fail(const std::string& why) { throw Stopped{"thread " + text(threadIdx) + ": " + why}; }

}  // namespace nextpatch::simt
