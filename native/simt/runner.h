// Runs CUDA kernels on the host, so that they can be tested without a GPU. Every thread of a block is a fiber, blocks
// run one after another, and fibers switch only at barriers and warp collectives. The schedule chooses which thread
// runs next: results that change with it show a race.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>

#include "include/simt/vector_types.h"

namespace nextpatch::simt {

// ---- Schedules ----------------------------------------------------------------------------------------

// The order in which blocks, and between barriers the threads of a block, run.
struct Schedule {
  enum class Order { forward, reverse, random };
  Order order = Order::forward;
  uint64_t seed = 0;  // random only
};

// "forward", "reverse" or "random:SEED"; false for anything else.
bool parse_schedule(const char* text, Schedule* schedule);

// Sets the schedule of all later launches. The initial one is that of NEXTPATCH_SIMT_SCHEDULE, else forward.
void set_schedule(const Schedule& schedule);

Schedule::Order schedule_order();

// Which of `count` that may come next does, by the schedule: the first, the last or any.
size_t choose(size_t count);

// ---- Launching ----------------------------------------------------------------------------------------

// Every kernel for which a launch was compiled: one record per instantiation, registered when the library loads,
// before anything runs.
struct KernelRecord {
  explicit KernelRecord(const char* pretty_function);
  const std::string& name;  // never freed: the list is read until the process ends
  std::atomic<int64_t> launches{0};
  KernelRecord* next;
};
KernelRecord* first_kernel();

constexpr size_t kSharedBytesDefault = 48 * 1024;  // a kernel gets more only with cudaFuncSetAttribute

// Runs `thread` once for every thread of the grid, but for those of a block that is lost (fault.h).
// Returns an empty text, or why the kernel was stopped, with the kernel, the block and the thread.
std::string run_grid(const char* kernel, dim3 grid, dim3 block, size_t shared_bytes,
                     const std::function<void()>& thread);

// ---- Called by running threads ------------------------------------------------------------------------

int lane_index();

// The block's dynamic shared memory, filled with a NaN pattern when the block starts.
void* shared_memory();

// Waits until `count` threads (0: all of the block) have arrived at barrier `id`.
void block_barrier(const char* what, int id, int count);

// Stops the kernel.
[[noreturn]] void fail(const std::string& why);
[[noreturn]] void fail_in_lane(int lane, const char* why);

// Fails unless [address, address + bytes) is in the block's shared memory and `address` is aligned to `alignment`.
void check_shared(const char* what, const void* address, size_t bytes, size_t alignment);

// Fails if the address is in the block's shared memory, which instructions for global memory cannot access.
void check_global(const char* what, const void* address);

using Complete = void (*)(void* const* lanes, unsigned mask, const void* function);
void meet_lanes(const char* what, unsigned mask, void* lane, Complete complete, const void* function);

// A warp collective: waits for all lanes of `mask`; the last to arrive calls complete(lanes, mask), where lanes[i]
// points to the argument of lane i, which can be read and written in place.
template <typename Lane>
void meet(const char* what, unsigned mask, Lane& lane, void (*complete)(Lane* const*, unsigned)) {
  meet_lanes(
      what, mask, &lane,
      [](void* const* lanes, unsigned mask, const void* function) {
        Lane* typed[32];
        for (int i = 0; i < 32; ++i) typed[i] = static_cast<Lane*>(lanes[i]);
        reinterpret_cast<void (*)(Lane* const*, unsigned)>(const_cast<void*>(function))(typed, mask);
      },
      reinterpret_cast<const void*>(complete));
}

// cp.async: the destination is poisoned at once and gets its data only when the thread waits for it.
void copy_async(void* shared, const void* global, size_t bytes, size_t read_bytes);
void copy_async_commit();
void copy_async_wait(int groups_left);  // -1: everything, committed or not
// What has arrived may be read by wgmma from here on; without it, wgmma fails.
void fence_copies();

}  // namespace nextpatch::simt
