// Barriers, warp collectives and asynchronous copies.
#include <algorithm>
#include <cstdio>
#include <cstring>

#include "block.h"
#include "races.h"
#include "runner.h"

namespace nextpatch::simt {
namespace {

std::string hex(unsigned mask) {
  char digits[16];
  std::snprintf(digits, sizeof digits, "0x%08x", mask);
  return digits;
}

void wait_at(const char* what, unsigned for_what) {
  Thread& thread = *current_block().current;
  thread.state = Thread::State::waiting;
  thread.waits_at = what;
  thread.waits_for = for_what;
  wait_for_others();
}

}  // namespace

int lane_index() { return current_block().current->linear % 32; }

void* shared_memory() { return current_block().shared; }

void fail_in_lane(int lane, const char* why) { fail("lane " + std::to_string(lane) + " " + why); }

void check_shared(const char* what, const void* address, size_t bytes, size_t alignment) {
  const Block& block = current_block();
  const char* const at = static_cast<const char*>(address);
  if (!block.shared || at < block.shared || at + bytes > block.shared + block.shared_bytes)
    fail(std::string(what) + ": the address is not in the block's " + std::to_string(block.shared_bytes) +
         " bytes of shared memory");
  if (reinterpret_cast<uintptr_t>(at) % alignment != 0)
    fail(std::string(what) + ": the address is not aligned to " + std::to_string(alignment) + " bytes");
}

void check_global(const char* what, const void* address) {
  const Block& block = current_block();
  const char* const at = static_cast<const char*>(address);
  if (block.shared && at >= block.shared && at < block.shared + block.shared_bytes)
    fail(std::string(what) + " writes to global memory only, the address is in shared memory");
}

void block_barrier(const char* what, int id, int count) {
  Block& block = current_block();
  const int expected = count > 0 ? count : int(block.threads.size());
  if (id < 0 || id >= kBarriers || expected > int(block.threads.size()) || (count > 0 && count % 32 != 0))
    fail(std::string(what) + ": barrier " + std::to_string(id) + " for " + std::to_string(expected) +
         " threads: expected one of 0 to 15, for a multiple of 32 threads of the block");
  Barrier& barrier = block.barriers[id];
  if (barrier.waiting.empty()) barrier.expected = expected;
  if (barrier.expected != expected)
    fail(std::string(what) + ": barrier " + std::to_string(id) + " for " + std::to_string(expected) +
         " threads, others wait at it for " + std::to_string(barrier.expected));
  barrier.waiting.push_back(block.current);
  if (int(barrier.waiting.size()) < expected) return wait_at(what, unsigned(id));
  uint32_t warps = 0;
  for (Thread* thread : barrier.waiting) {
    thread->state = Thread::State::ready;
    warps |= 1u << thread->linear / 32;
  }
  order_warps(warps);
  barrier.waiting.clear();
}

void meet_lanes(const char* what, unsigned mask, void* lane, Complete complete, const void* function) {
  Block& block = current_block();
  Thread& self = *block.current;
  const int index = self.linear % 32;
  if (!(mask >> index & 1)) fail(std::string(what) + ": mask " + hex(mask) + " leaves out the calling lane");
  Warp& warp = block.warps[size_t(self.linear / 32)];
  if (const unsigned gone = mask & ~warp.alive)
    fail(std::string(what) + ": mask " + hex(mask) + " names lane " + std::to_string(__builtin_ctz(gone)) +
         ", which has exited or does not exist");
  auto& meetings = warp.meetings;
  auto meeting = std::find_if(meetings.begin(), meetings.end(), [&](const Meeting& m) { return m.mask == mask; });
  if (meeting == meetings.end()) meeting = meetings.insert(meetings.end(), Meeting{what, mask, 0, {}});
  if (meeting->what != what && std::strcmp(meeting->what, what) != 0)
    fail(std::string(what) + ": other lanes of mask " + hex(mask) + " are at " + meeting->what);
  meeting->arrived |= 1u << index;
  meeting->lanes[index] = lane;
  if (meeting->arrived != mask) return wait_at(what, mask);
  const Meeting complete_meeting = *meeting;
  meetings.erase(meeting);
  complete(complete_meeting.lanes, mask, function);
  Thread* const lanes = &self - index;
  for (unsigned left = mask; left != 0; left &= left - 1) lanes[__builtin_ctz(left)].state = Thread::State::ready;
}

void copy_async(void* shared, const void* global, size_t bytes, size_t read_bytes) {
  check_shared("cp.async", shared, bytes, bytes);
  if (read_bytes > 0 && reinterpret_cast<uintptr_t>(global) % bytes != 0)
    fail("cp.async: the global address is not aligned to " + std::to_string(bytes) + " bytes");
  note_access(shared, bytes, Access::write);
  std::memset(shared, 0xff, bytes);
  Thread& thread = *current_block().current;
  thread.copies.push_back({shared, global, bytes, read_bytes, thread.copy_group});
}

void copy_async_commit() { ++current_block().current->copy_group; }

void copy_async_wait(int groups_left) {
  Thread& thread = *current_block().current;
  auto copy = thread.copies.begin();
  for (; copy != thread.copies.end(); ++copy) {
    if (groups_left >= 0 && copy->group >= thread.copy_group - groups_left) break;
    note_access(copy->shared, copy->bytes, Access::write);
    std::memcpy(copy->shared, copy->global, copy->read_bytes);
    std::memset(static_cast<char*>(copy->shared) + copy->read_bytes, 0, copy->bytes - copy->read_bytes);
  }
  if (copy != thread.copies.begin() && !thread.unfenced) {
    thread.unfenced = true;
    ++current_block().unfenced;
  }
  thread.copies.erase(thread.copies.begin(), copy);
}

void fence_copies() {
  Block& block = current_block();
  if (!block.current->unfenced) return;
  block.current->unfenced = false;
  --block.unfenced;
}

}  // namespace nextpatch::simt
