#include "block.h"

#include <cstdlib>
#include <cstring>

namespace nextpatch::simt {

std::string text(const uint3& index) {
  return "(" + std::to_string(index.x) + "," + std::to_string(index.y) + "," + std::to_string(index.z) + ")";
}

void Block::begin_launch(dim3 size, size_t bytes) {
  const int count = int(size.x * size.y * size.z);
  threads.resize(size_t(count));
  for (int i = 0; i < count; ++i) {
    const unsigned n = unsigned(i);
    threads[size_t(i)].linear = i;
    threads[size_t(i)].index = {n % size.x, n / size.x % size.y, n / (size.x * size.y)};
  }
  warps.resize(size_t(count + 31) / 32);
  shared_bytes = bytes;
  if (bytes > 0 && posix_memalign(reinterpret_cast<void**>(&shared), 1024, bytes) != 0) std::abort();
}

void Block::begin(int poison) {
  for (Thread& thread : threads) {
    thread.state = Thread::State::ready;
    thread.fiber = nullptr;
    thread.copies.clear();
    thread.copy_group = 0;
  }
  for (size_t i = 0; i < warps.size(); ++i) {
    const size_t lanes = threads.size() - i * 32;
    warps[i].alive = lanes < 32 ? (1u << lanes) - 1 : 0xffffffffu;
    warps[i].meetings.clear();
    warps[i].wgmmas.clear();
    warps[i].wgmma_group = 0;
  }
  warpgroups.assign(warps.size() / 4, {});
  for (Barrier& barrier : barriers) barrier.waiting.clear();
  if (shared_bytes > 0) std::memset(shared, poison, shared_bytes);
}

void Block::end_launch() {
  std::free(shared);
  shared = nullptr;
  shared_bytes = 0;
}

std::string Block::deadlock() const {
  size_t done = 0;
  const Thread* first = nullptr;
  for (const Thread& thread : threads) {
    if (thread.state == Thread::State::done)
      ++done;
    else if (!first)
      first = &thread;
  }
  if (!first) return {};
  std::string why = "thread " + text(first->index) + ": waits for ever at " + first->waits_at;
  bool in_warp = false;
  for (const Meeting& meeting : warps[size_t(first->linear / 32)].meetings) {
    if (!(meeting.arrived >> (first->linear % 32) & 1)) continue;
    in_warp = true;
    why += ", lanes that did not come:";
    for (int lane = 0; lane < 32; ++lane)
      if ((meeting.mask & ~meeting.arrived) >> lane & 1) why += " " + std::to_string(lane);
  }
  if (!in_warp) {
    const Barrier& barrier = barriers[first->waits_for];
    why += " (barrier " + std::to_string(first->waits_for) + "): " + std::to_string(barrier.waiting.size()) + " of " +
           std::to_string(barrier.expected) + " threads came";
  }
  return why + "; of the block's " + std::to_string(threads.size()) + " threads " + std::to_string(done) +
         " have exited";
}

}  // namespace nextpatch::simt
