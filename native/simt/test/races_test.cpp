// The check for races, in a build that has it.
#include "../../cuda/ptx.cuh"
#include "../../cuda/shared.cuh"
#include "../../cuda/wgmma.cuh"
#include "check.h"
#include "launch.h"

#if NEXTPATCH_RACES

namespace nextpatch::simt {
namespace {

__global__ void exchange_kernel(int* out, bool barrier) {
  int* const tile = cuda::shared_memory<int>();
  tile[threadIdx.x] = int(threadIdx.x);
  if (barrier) __syncthreads();
  out[threadIdx.x] = tile[blockDim.x - 1 - threadIdx.x];
}

TEST(races_between_warps) {
  with_schedules([] {
    std::vector<int> out(64);
    EXPECT_CONTAINS((problem<exchange_kernel>(1, 64, 64 * 4, out.data(), false)), "race at byte ");
    EXPECT((problem<exchange_kernel>(2, 64, 64 * 4, out.data(), true).empty()));
    for (int i = 0; i < 64; ++i) EXPECT(out[size_t(i)] == 63 - i);
  });
}

TEST(races_name_both_threads) {
  std::vector<int> out(64);
  EXPECT_CONTAINS((problem<exchange_kernel>(1, 64, 64 * 4, out.data(), false)),
                  "race at byte 128 of shared memory: no barrier between the read by thread (31,0,0) and the write by "
                  "thread (32,0,0)");
}

// A shuffle brings the lanes together but orders no memory; __syncwarp orders the warp's only.
__global__ void shuffling_kernel(int* out, bool fence) {
  int* const tile = cuda::shared_memory<int>();
  tile[threadIdx.x] = int(threadIdx.x);
  const int other = __shfl_xor_sync(0xffffffffu, int(threadIdx.x), 1);
  if (fence) __syncwarp();
  out[threadIdx.x] = tile[other];
}
__global__ void other_warp_kernel(int* out) {
  int* const tile = cuda::shared_memory<int>();
  tile[threadIdx.x] = int(threadIdx.x);
  __syncwarp();
  out[threadIdx.x] = tile[threadIdx.x ^ 32];
}

TEST(races_within_a_warp) {
  with_schedules([] {
    std::vector<int> out(64);
    EXPECT_CONTAINS((problem<shuffling_kernel>(1, 64, 64 * 4, out.data(), false)), "race at byte ");
    EXPECT((problem<shuffling_kernel>(1, 64, 64 * 4, out.data(), true).empty()));
    EXPECT_CONTAINS((problem<other_warp_kernel>(1, 64, 64 * 4, out.data())), "race at byte ");
  });
}

// Reads first, writes afterwards: each value is right in every order in which whole warps run.
__global__ void reusing_kernel(int* out, bool barrier) {
  int* const scratch = cuda::shared_memory<int>();
  for (int round = 0; round < 2; ++round) {
    if (threadIdx.x == 0) scratch[0] = round;
    __syncthreads();
    out[threadIdx.x] = scratch[0];
    if (barrier) __syncthreads();
  }
}

TEST(races_of_a_write_with_earlier_reads) {
  with_schedules([] {
    std::vector<int> out(96);
    EXPECT_CONTAINS((problem<reusing_kernel>(1, 96, 4, out.data(), false)), "race at byte 0 of shared memory");
    EXPECT((problem<reusing_kernel>(1, 96, 4, out.data(), true).empty()));
  });
}

// Pairs of warps meet at barriers of their own: what one pair does is not ordered for the other.
__global__ void pairs_kernel(int* out, int distance) {
  int* const tile = cuda::shared_memory<int>();
  tile[threadIdx.x] = int(threadIdx.x);
  cuda::named_barrier(1 + int(threadIdx.x) / 64, 64);
  out[threadIdx.x] = tile[int(threadIdx.x) ^ distance];
}

// Warp 0 tells warp 1, and warp 1 tells warp 2: that orders warp 0 before warp 2.
__global__ void chain_kernel(int* out) {
  int* const tile = cuda::shared_memory<int>();
  const int warp = int(threadIdx.x) / 32;
  if (warp == 0) tile[threadIdx.x] = 7;
  if (warp < 2) cuda::named_barrier(1, 64);
  if (warp > 0) cuda::named_barrier(2, 64);
  if (warp == 2) out[threadIdx.x % 32] = tile[threadIdx.x % 32];
}

TEST(races_despite_named_barriers) {
  with_schedules([] {
    std::vector<int> out(128);
    EXPECT((problem<pairs_kernel>(1, 128, 128 * 4, out.data(), 32).empty()));
    EXPECT_CONTAINS((problem<pairs_kernel>(1, 128, 128 * 4, out.data(), 64)), "race at byte ");
    EXPECT((problem<chain_kernel>(1, 96, 128, out.data()).empty()));
    EXPECT(out[31] == 7);
  });
}

__global__ void counting_kernel(int* out, bool plain) {
  int* const count = cuda::shared_memory<int>();
  if (threadIdx.x == 0) count[0] = 0;
  __syncthreads();
  if (plain && threadIdx.x == 5) ++count[0];
  atomicAdd(count, 1);
  __syncthreads();
  out[threadIdx.x] = count[0];
}

TEST(races_with_atomics) {
  with_schedules([] {
    std::vector<int> out(64);
    EXPECT((problem<counting_kernel>(1, 64, 4, out.data(), false).empty()));
    EXPECT(out[63] == 64);
    EXPECT_CONTAINS((problem<counting_kernel>(1, 64, 4, out.data(), true)), "atomic by thread ");
  });
}

// A copy may arrive at any time until its thread has waited for it.
__global__ void copying_kernel(int* out, const int* in, bool waits_first) {
  int* const tile = cuda::shared_memory<int>();
  if (threadIdx.x < 16) cuda::cp_async_16(tile + threadIdx.x * 4, in + threadIdx.x * 4);
  cuda::cp_async_commit();
  if (waits_first) cuda::cp_async_wait<0>();
  __syncthreads();
  if (!waits_first) cuda::cp_async_wait<0>();
  out[threadIdx.x] = tile[63 - threadIdx.x];
}

TEST(races_with_asynchronous_copies) {
  with_schedules([] {
    alignas(16) int in[64];
    for (int i = 0; i < 64; ++i) in[i] = i;
    std::vector<int> out(64);
    EXPECT((problem<copying_kernel>(1, 64, 64 * 4, out.data(), in, true).empty()));
    EXPECT(out[0] == 63);
    EXPECT_CONTAINS((problem<copying_kernel>(1, 64, 64 * 4, out.data(), in, false)), "race at byte ");
  });
}

// ldmatrix reads rows by the addresses of its lanes, which other lanes wrote.
__global__ void matrix_kernel(uint32_t* out, bool fence) {
  uint32_t* const tile = cuda::shared_memory<uint32_t>();
  for (int i = 0; i < 4; ++i) tile[i * 32 + int(threadIdx.x)] = threadIdx.x;
  if (fence) __syncwarp();
  uint32_t registers[4];
  cuda::ldmatrix_x4(registers, tile + threadIdx.x * 4);
  out[threadIdx.x] = registers[0];
}

TEST(races_with_ldmatrix) {
  with_schedules([] {
    std::vector<uint32_t> out(32);
    EXPECT((problem<matrix_kernel>(1, 32, 512, out.data(), true).empty()));
    EXPECT_CONTAINS((problem<matrix_kernel>(1, 32, 512, out.data(), false)), "race at byte ");
  });
}

// A warpgroup's product reads what all of its threads wrote, until each of its warps has waited for it.
__global__ void warpgroup_kernel(float* out, bool barrier_before, bool barrier_after) {
  uint32_t* const tile = cuda::shared_memory<uint32_t>();
  for (int i = int(threadIdx.x); i < 64 * 32; i += 128) tile[i] = 0x3f803f80;  // ones
  cuda::fence_shared_for_wgmma();
  if (barrier_before) __syncthreads();
  const cuda::MatrixDescriptor both = cuda::panel_descriptor(tile, 0);
  float d[8][4];
  cuda::wgmma_fence();
  cuda::wgmma_m64n64k16_bf16(d, both, both, false);
  cuda::wgmma_commit();
  cuda::wgmma_wait<0>();
  if (barrier_after) __syncthreads();
  tile[threadIdx.x * 16] = 0;
  out[threadIdx.x] = d[7][3];
}

TEST(races_with_wgmma) {
  with_schedules([] {
    std::vector<float> out(128);
    const size_t bytes = 64 * 128;
    EXPECT(problem<warpgroup_kernel>(1, 128, bytes, out.data(), true, true).empty());
    EXPECT(out == std::vector<float>(128, 16));
    EXPECT_CONTAINS(problem<warpgroup_kernel>(1, 128, bytes, out.data(), false, true), "race at byte ");
    EXPECT_CONTAINS(problem<warpgroup_kernel>(1, 128, bytes, out.data(), true, false), "race at byte ");
  });
}

}  // namespace
}  // namespace nextpatch::simt

#endif
