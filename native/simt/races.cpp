#include "races.h"

#if NEXTPATCH_RACES

#include <algorithm>
#include <string>
#include <vector>

#include "block.h"
#include "runner.h"

namespace nextpatch::simt {
namespace {

constexpr int kWarps = 32;
constexpr size_t kCellBytes = 2;  // the smallest type that kernels keep in shared memory

// Time passes for a warp when it is ordered behind itself or others.
using Time = uint32_t;

struct Event {
  Time time = 0;
  uint16_t thread = 0;
  Access access = Access::read;
};

struct Cell {
  Event write;
  // The last read, the last by another thread of its warp, and the last by another warp.
  Event reads[3];
};

// Never forgotten from block to block: a block's times begin behind all earlier ones.
std::vector<Cell> cells;
Time latest = 0;
Time now[kWarps];
Time seen[kWarps][kWarps];  // seen[w][v]: what warp v did before this time comes before what w does now

bool comes_before(const Event& event, int thread) {
  return event.thread == thread || event.time < seen[thread / 32][event.thread / 32];
}

void check(const Event& earlier, int thread, Access access, size_t byte) {
  if (comes_before(earlier, thread) || (earlier.access == Access::atomic && access == Access::atomic)) return;
  const std::string other = text(current_block().threads[earlier.thread].index);
  fail("race at byte " + std::to_string(byte) + " of shared memory: no barrier between this " +
       (access == Access::read ? "read" : "write") + " by thread " + text(current_block().threads[size_t(thread)].index) +
       " and the " + (earlier.access == Access::read ? "read" : "write") + " by thread " + other);
}

void note(size_t first, size_t bytes, Access access, int linear) {
  for (size_t byte = first / kCellBytes * kCellBytes; byte < first + bytes; byte += kCellBytes) {
    Cell& cell = cells[byte / kCellBytes];
    const Event event{now[linear / 32], uint16_t(linear), access};
    check(cell.write, linear, access, byte);
    if (access == Access::read) {
      Event& last = cell.reads[0];
      if (last.thread != event.thread) cell.reads[last.thread / 32 == event.thread / 32 ? 1 : 2] = last;
      last = event;
    } else {
      for (const Event& read : cell.reads) check(read, linear, access, byte);
      cell.write = event;
    }
  }
}

}  // namespace

void forget_accesses(const Block& block) {
  cells.resize(std::max(cells.size(), (block.shared_bytes + kCellBytes - 1) / kCellBytes));
  ++latest;
  for (int w = 0; w < kWarps; ++w) {
    now[w] = latest;
    std::fill(seen[w], seen[w] + kWarps, latest);
  }
}

void note_access(const void* address, size_t bytes, Access access) {
  const Block& block = current_block();
  const char* const at = static_cast<const char*>(address);
  if (at >= block.shared && at < block.shared + block.shared_bytes)
    note(size_t(at - block.shared), bytes, access, block.current->linear);
}

void note_access(const void* address, size_t bytes, Access access, int lane) {
  const Block& block = current_block();
  const char* const at = static_cast<const char*>(address);
  note(size_t(at - block.shared), bytes, access, block.current->linear / 32 * 32 + lane);
}

void order_warps(uint32_t warps) {
  Time all[kWarps] = {};
  for (int w = 0; w < kWarps; ++w) {
    if (!(warps >> w & 1)) continue;
    latest = std::max(latest, ++now[w]);
    for (int v = 0; v < kWarps; ++v) all[v] = std::max(all[v], seen[w][v]);
  }
  for (int w = 0; w < kWarps; ++w)
    if (warps >> w & 1) all[w] = now[w];
  for (int w = 0; w < kWarps; ++w)
    if (warps >> w & 1) std::copy(all, all + kWarps, seen[w]);
}

void order_warp() { order_warps(1u << current_block().current->linear / 32); }

}  // namespace nextpatch::simt

// What the compiler calls under -fsanitize=thread. No library of it is linked: only the places of the calls are used.
using nextpatch::simt::Access;
using nextpatch::simt::note_access;

extern "C" {

#define NEXTPATCH_HOOKS(bytes)                                                                  \
  void __tsan_read##bytes(void* address) { note_access(address, bytes, Access::read); }         \
  void __tsan_write##bytes(void* address) { note_access(address, bytes, Access::write); }       \
  void __tsan_unaligned_read##bytes(void* address) { note_access(address, bytes, Access::read); } \
  void __tsan_unaligned_write##bytes(void* address) { note_access(address, bytes, Access::write); }
NEXTPATCH_HOOKS(1)
NEXTPATCH_HOOKS(2)
NEXTPATCH_HOOKS(4)
NEXTPATCH_HOOKS(8)
NEXTPATCH_HOOKS(16)
#undef NEXTPATCH_HOOKS

void __tsan_read_range(void* address, size_t bytes) { note_access(address, bytes, Access::read); }
void __tsan_write_range(void* address, size_t bytes) { note_access(address, bytes, Access::write); }
void __tsan_vptr_update(void**, void*) {}
void __tsan_init() {}
// Of the guards of static variables.
char __tsan_atomic8_load(const volatile char* address, int) { return __atomic_load_n(address, __ATOMIC_SEQ_CST); }

}  // extern "C"

#endif
