// Shuffles, votes and reductions.
#include "check.h"
#include "launch.h"

namespace nextpatch::simt {
namespace {

constexpr unsigned kAll = 0xffffffffu;

__global__ void shuffle_kernel(int* out) {
  const int lane = int(threadIdx.x) % 32;
  int* const mine = out + threadIdx.x * 8;
  mine[0] = __shfl_sync(kAll, lane, 5);
  mine[1] = __shfl_sync(kAll, lane, 5, 8);
  mine[2] = __shfl_xor_sync(kAll, lane, 16);
  mine[3] = __shfl_xor_sync(kAll, lane, 8, 8);
  mine[4] = __shfl_down_sync(kAll, lane, 3);
  mine[5] = __shfl_down_sync(kAll, lane, 3, 8);
  mine[6] = __shfl_up_sync(kAll, lane, 3);
  mine[7] = __shfl_up_sync(kAll, lane, 3, 8);
}

TEST(shuffles) {
  with_schedules([] {
    std::vector<int> out(64 * 8);
    EXPECT(problem<shuffle_kernel>(1, 64, 0, out.data()).empty());
    for (int thread = 0; thread < 64; ++thread) {
      const int lane = thread % 32, start = lane / 8 * 8;
      const int* const mine = &out[size_t(thread) * 8];
      EXPECT(mine[0] == 5);
      EXPECT(mine[1] == start + 5);
      EXPECT(mine[2] == (lane ^ 16));
      EXPECT(mine[3] == (lane % 16 < 8 ? lane : lane - 8));  // earlier segments can be read, later ones not
      EXPECT(mine[4] == (lane + 3 < 32 ? lane + 3 : lane));
      EXPECT(mine[5] == (lane + 3 < start + 8 ? lane + 3 : lane));
      EXPECT(mine[6] == (lane >= 3 ? lane - 3 : lane));
      EXPECT(mine[7] == (lane - 3 >= start ? lane - 3 : lane));
    }
  });
}

__global__ void vote_kernel(unsigned* out) {
  const int lane = int(threadIdx.x);
  out[lane * 6] = __ballot_sync(kAll, lane % 3 == 0);
  out[lane * 6 + 1] = unsigned(__any_sync(kAll, lane == 31));
  out[lane * 6 + 2] = unsigned(__all_sync(kAll, lane < 31));
  out[lane * 6 + 3] = __reduce_add_sync(kAll, unsigned(lane));
  out[lane * 6 + 4] = unsigned(__reduce_max_sync(kAll, -lane));
  out[lane * 6 + 5] = unsigned(__reduce_min_sync(kAll, -lane));
}

TEST(votes_and_reductions) {
  with_schedules([] {
    std::vector<unsigned> out(32 * 6);
    EXPECT(problem<vote_kernel>(1, 32, 0, out.data()).empty());
    for (int lane = 0; lane < 32; ++lane) {
      const unsigned* const mine = &out[size_t(lane) * 6];
      EXPECT(mine[0] == 0x49249249u);
      EXPECT(mine[1] == 1 && mine[2] == 0 && mine[3] == 496 && int(mine[4]) == 0 && int(mine[5]) == -31);
    }
  });
}

// The halves of the warp diverge, each with its own mask.
__global__ void halves_kernel(int* out) {
  const int lane = int(threadIdx.x);
  if (lane < 16) {
    out[lane] = __reduce_add_sync(0x0000ffffu, 1);
  } else {
    out[lane] = __shfl_sync(0xffff0000u, lane, 20);
    __syncwarp(0xffff0000u);
  }
}

TEST(parts_of_a_warp) {
  with_schedules([] {
    std::vector<int> out(32);
    EXPECT(problem<halves_kernel>(1, 32, 0, out.data()).empty());
    for (int lane = 0; lane < 32; ++lane) EXPECT(out[size_t(lane)] == (lane < 16 ? 16 : 20));
  });
}

__global__ void absent_lane_kernel() {
  if (threadIdx.x == 9)
    __syncthreads();
  else
    __shfl_sync(kAll, 1, 0);
}
__global__ void exited_lane_kernel() {
  if (threadIdx.x == 9) return;
  __syncwarp();  // lane 9 has exited by then, or is missing
}
__global__ void short_warp_kernel() { __shfl_sync(kAll, 1, 0); }
__global__ void unmasked_source_kernel() {
  if (threadIdx.x < 8) __shfl_sync(0xffu, 1, 12);
}
__global__ void left_out_kernel() { __shfl_sync(0xfffffffeu, 1, 1); }
__global__ void mixed_kernel() {
  if (threadIdx.x < 8)
    __syncwarp();
  else
    __any_sync(kAll, 1);
}

TEST(misused_collectives_are_told) {
  with_schedules([] {
    EXPECT_CONTAINS(problem<absent_lane_kernel>(1, 32, 0),
                    "absent_lane_kernel, block (0,0,0), thread (0,0,0): waits for ever at __shfl_sync, lanes that did "
                    "not come: 9");
    EXPECT_CONTAINS(problem<exited_lane_kernel>(1, 32, 0), "9");
    EXPECT_CONTAINS(problem<short_warp_kernel>(1, 20, 0), "names lane 20, which has exited or does not exist");
    EXPECT_CONTAINS(problem<unmasked_source_kernel>(1, 32, 0), "reads a lane that is not in the mask");
    EXPECT_CONTAINS(problem<left_out_kernel>(1, 32, 0), "leaves out the calling lane");
    EXPECT_CONTAINS(problem<mixed_kernel>(1, 32, 0), "other lanes of mask 0xffffffff are at");
  });
}

}  // namespace
}  // namespace nextpatch::simt
