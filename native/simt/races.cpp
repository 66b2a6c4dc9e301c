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

// A warp's time passes when a barrier orders it behind itself or others.
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

// The running block's shared memory; kept from block to block, whose times begin behind those of all earlier ones.
const char* watched = nullptr;
size_t watched_bytes = 0;
std::vector<Cell> cells;

Time latest = 0;
Time now[kWarps];
Time seen[kWarps][kWarps];  // seen[w][v]: what warp v did before this time comes before what w does now

size_t offset_of(const void* address) { return size_t(static_cast<const char*>(address) - watched); }

bool comes_before(const Event& event, int thread) {
  return event.thread == thread || event.time < seen[thread / 32][event.thread / 32];
}

std::string access_by(Access access, int thread) {
  const char* const what = access == Access::read ? "read" : access == Access::write ? "write" : "atomic";
  return std::string(what) + " by thread " + text(current_block().threads[size_t(thread)].index);
}

void check(const Event& earlier, const Event& event, size_t byte) {
  const bool both_atomic = earlier.access == Access::atomic && event.access == Access::atomic;
  if (both_atomic || comes_before(earlier, event.thread)) return;
  fail("race at byte " + std::to_string(byte) + " of shared memory: no barrier between the " +
       access_by(earlier.access, earlier.thread) + " and the " + access_by(event.access, event.thread));
}

void note(size_t first, size_t bytes, const Event& event) {
  for (size_t byte = first / kCellBytes * kCellBytes; byte < first + bytes; byte += kCellBytes) {
    Cell& cell = cells[byte / kCellBytes];
    check(cell.write, event, byte);
    if (event.access == Access::read) {
      Event& last = cell.reads[0];
      if (last.thread != event.thread) cell.reads[last.thread / 32 == event.thread / 32 ? 1 : 2] = last;
      last = event;
    } else {
      for (const Event& read : cell.reads) check(read, event, byte);
      cell.write = event;
    }
  }
}

}  // namespace

void watch_block(const Block& block) {
  watched = block.shared;
  watched_bytes = block.shared_bytes;
  cells.resize(std::max(cells.size(), (watched_bytes + kCellBytes - 1) / kCellBytes));
  ++latest;
  for (int w = 0; w < kWarps; ++w) {
    now[w] = latest;
    std::fill(seen[w], seen[w] + kWarps, latest);
  }
}

void watch_no_block() { watched_bytes = 0; }

void note_access(const void* address, size_t bytes, Access access) {
  const size_t offset = offset_of(address);
  if (offset >= watched_bytes) return;
  const int thread = current_block().current->linear;
  note(offset, bytes, {now[thread / 32], uint16_t(thread), access});
}

void note_access(const void* address, size_t bytes, Access access, int lane) {
  const int warp = current_block().current->linear / 32;
  note(offset_of(address), bytes, {now[warp], uint16_t(warp * 32 + lane), access});
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

// What the compiler calls at every access under -fsanitize=thread, whose own library is not linked.
using nextpatch::simt::Access;
using nextpatch::simt::note_access;

extern "C" {

#define NEXTPATCH_HOOKS(bytes)                                                                    \
  void __tsan_read##bytes(void* address) { note_access(address, bytes, Access::read); }           \
  void __tsan_write##bytes(void* address) { note_access(address, bytes, Access::write); }         \
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
