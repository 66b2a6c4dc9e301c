// Barriers, schedules, and kernels that would hang.
#include <algorithm>

#include "../../cuda/ptx.cuh"
#include "../../cuda/shared.cuh"
#include "check.h"
#include "launch.h"

namespace nextpatch::simt {
namespace {

__global__ void reverse_kernel(int* out) {
  int* const tile = cuda::shared_memory<int>();
  tile[threadIdx.x] = int(threadIdx.x);
  __syncthreads();
  out[blockIdx.x * blockDim.x + threadIdx.x] = tile[blockDim.x - 1 - threadIdx.x];
}

TEST(barrier_makes_writes_visible) {
  with_schedules([] {
    std::vector<int> out(3 * 96, -7);
    EXPECT(problem<reverse_kernel>(3, 96, 96 * 4, out.data()).empty());
    for (int i = 0; i < 3 * 96; ++i) EXPECT(out[size_t(i)] == 95 - i % 96);
  });
}

// reverse_kernel without its barrier.
__global__ void racy_kernel(float* out) {
  float* const tile = cuda::shared_memory<float>();
  tile[threadIdx.x] = float(threadIdx.x);
  out[threadIdx.x] = tile[blockDim.x - 1 - threadIdx.x];
}

TEST(race_shows_in_the_bits) {
  std::vector<std::vector<unsigned>> results;
  int poisoned = 0;
  with_schedules([&] {
    std::vector<float> out(64);
    EXPECT(problem<racy_kernel>(1, 64, 64 * 4, out.data()).empty());
    std::vector<unsigned> bits;
    for (const float value : out) bits.push_back(__float_as_uint(value));
    poisoned += int(std::count_if(out.begin(), out.end(), [](float v) { return v != v; }));
    results.push_back(bits);
  });
  EXPECT(results[0] != results[1]);
  EXPECT(results[2] != results[3]);
  EXPECT(poisoned > 0);
}

// Overwrites shared memory without waiting until the other warp has read it.
__global__ void reusing_kernel(int* out) {
  int* const of_warps = cuda::shared_memory<int>();
  const int warp = int(threadIdx.x) / 32;
  int value = warp;
  for (int round = 0; round < 2; ++round) {
    if (threadIdx.x % 32 == 0) of_warps[warp] = value;
    __syncthreads();
    value = __shfl_sync(0xffffffffu, of_warps[0] + of_warps[1], 0) + 10;
  }
  out[threadIdx.x] = value;
}

// Found only if a warp runs ahead of another that is ready to run.
TEST(random_orders_let_warps_run_ahead) {
  std::vector<int> wrong;
  with_schedules([&] {
    std::vector<int> out(64);
    EXPECT(problem<reusing_kernel>(1, 64, 2 * 4, out.data()).empty());
    wrong.push_back(64 - int(std::count(out.begin(), out.end(), 32)));
  });
  EXPECT(wrong[0] == 0 && wrong[1] == 0);
  EXPECT(wrong[2] > 0 && wrong[3] > 0);
}

__global__ void order_kernel(int* next, int* order) { order[blockIdx.x * 4 + threadIdx.x] = atomicAdd(next, 1); }

TEST(schedules_order_threads_and_blocks) {
  std::vector<std::vector<int>> orders;
  with_schedules([&] {
    int next = 0;
    std::vector<int> order(8);
    EXPECT(problem<order_kernel>(2, 4, 0, &next, order.data()).empty());
    orders.push_back(order);
    std::sort(order.begin(), order.end());
    for (int i = 0; i < 8; ++i) EXPECT(order[size_t(i)] == i);
  });
  EXPECT((orders[0] == std::vector<int>{0, 1, 2, 3, 4, 5, 6, 7}));
  EXPECT((orders[1] == std::vector<int>{7, 6, 5, 4, 3, 2, 1, 0}));
  EXPECT(orders[2] != orders[3]);
}

TEST(schedule_texts) {
  Schedule schedule;
  EXPECT(parse_schedule("random:12", &schedule) && schedule.seed == 12);
  EXPECT(!parse_schedule("random:", &schedule));
  EXPECT(!parse_schedule("random:1x", &schedule));
  EXPECT(!parse_schedule("backward", &schedule));
}

__global__ void index_kernel(int* seen) {
  const int block = int(blockIdx.x + gridDim.x * (blockIdx.y + gridDim.y * blockIdx.z));
  const int thread = int(threadIdx.x + blockDim.x * (threadIdx.y + blockDim.y * threadIdx.z));
  __syncthreads();
  ++seen[block * int(blockDim.x * blockDim.y * blockDim.z) + thread];
}

TEST(three_dimensions) {
  with_schedules([] {
    std::vector<int> seen(2 * 3 * 4 * 5 * 2 * 3);
    EXPECT(problem<index_kernel>({2, 3, 4}, {5, 2, 3}, 0, seen.data()).empty());
    for (const int times : seen) EXPECT(times == 1);
  });
}

__global__ void divergent_kernel() {
  if (blockIdx.x == 1 && threadIdx.x >= 32) return;
  __syncthreads();
}

TEST(barrier_that_some_threads_never_reach) {
  with_schedules([] {
    const std::string why = problem<divergent_kernel>(2, 64, 0);
    EXPECT_CONTAINS(why,
                    "test: launch failed: divergent_kernel, block (1,0,0), thread (0,0,0): waits for ever at "
                    "__syncthreads (barrier 0): 32 of 64 threads came");
    EXPECT_CONTAINS(why, "32 have exited");
    std::vector<int> out(96);
    EXPECT(problem<reverse_kernel>(1, 96, 96 * 4, out.data()).empty());  // the next kernel runs normally
    EXPECT(out[0] == 95);
  });
}

__global__ void two_places_kernel() {
  if (threadIdx.x < 32) {
    __syncthreads();
  } else {
    cuda::named_barrier(1, 64);
  }
}

TEST(barriers_that_wait_for_each_other) {
  EXPECT_CONTAINS(problem<two_places_kernel>(1, 64, 0), "waits for ever at __syncthreads (barrier 0): 32 of 64");
}

// Two warps meet at each barrier, four at the block's.
__global__ void named_barrier_kernel(int* out) {
  int* const tile = cuda::shared_memory<int>();
  const int half = int(threadIdx.x) / 64;
  tile[threadIdx.x] = int(threadIdx.x);
  cuda::named_barrier(1 + half, 64);
  const int other = half * 64 + (int(threadIdx.x) + 32) % 64;
  out[threadIdx.x] = tile[other];
}

__global__ void bad_count_kernel(int count) { cuda::named_barrier(3, count); }
__global__ void two_counts_kernel() { cuda::named_barrier(3, threadIdx.x < 32 ? 32 * 3 : 64); }

TEST(named_barriers) {
  with_schedules([] {
    std::vector<int> out(128);
    EXPECT(problem<named_barrier_kernel>(1, 128, 128 * 4, out.data()).empty());
    for (int i = 0; i < 128; ++i) EXPECT(out[size_t(i)] == i / 64 * 64 + (i + 32) % 64);
  });
  EXPECT_CONTAINS(problem<bad_count_kernel>(1, 64, 0, 33), "multiple of 32");
  EXPECT_CONTAINS(problem<bad_count_kernel>(1, 64, 0, 96), "threads of the block");
  EXPECT_CONTAINS(problem<two_counts_kernel>(1, 96, 0), "others wait at it for");
}

__global__ void trap_kernel(int bad) {
  if (int(threadIdx.x) == bad) __trap();
}

TEST(trap_names_the_thread) {
  EXPECT_CONTAINS(problem<trap_kernel>(1, 64, 0, 5), "trap_kernel, block (0,0,0), thread (5,0,0): __trap");
}

// If no thread waits, all threads share one stack: the frame has the same address for all.
__global__ void frame_kernel(uintptr_t* frames) { frames[threadIdx.x] = uintptr_t(__builtin_frame_address(0)); }

TEST(threads_that_never_wait_switch_no_stack) {
  std::vector<uintptr_t> frames(256);
  EXPECT(problem<frame_kernel>(1, 256, 0, frames.data()).empty());
  EXPECT(std::all_of(frames.begin(), frames.end(), [&](uintptr_t frame) { return frame == frames[0]; }));
}

__global__ void poison_kernel(int* wrong, int words) {
  const unsigned* const tile = cuda::shared_memory<unsigned>();
  for (int i = int(threadIdx.x); i < words; i += int(blockDim.x))
    if (tile[i] != 0xffffffffu) atomicAdd(wrong, 1);
  __syncthreads();
  for (int i = int(threadIdx.x); i < words; i += int(blockDim.x)) cuda::shared_memory<unsigned>()[i] = 0;
}

TEST(shared_memory_is_poisoned_for_every_block) {
  int wrong = 0;
  EXPECT(problem<poison_kernel>(3, 32, 400, &wrong, 100).empty());
  EXPECT(wrong == 0);
}

__global__ void wrong_space_kernel() { __stwb(cuda::shared_memory<unsigned>(), 1u); }

TEST(stores_to_global_memory_refuse_shared) {
  EXPECT_CONTAINS(problem<wrong_space_kernel>(1, 1, 4), "the address is in shared memory");
}

__global__ void overrun_kernel(float* out, int at) { out[threadIdx.x] = cuda::shared_memory<float>()[at]; }

TEST(sanitizer_shared_memory_overrun) {
  std::vector<float> out(32);
  problem<overrun_kernel>(1, 32, 100, out.data(), 25);
}

TEST(sanitizer_device_memory_overrun) {
  void* data = nullptr;
  cudaMalloc(&data, 100);
  problem<overrun_kernel>(1, 32, 4, static_cast<float*>(data), 0);
}

}  // namespace
}  // namespace nextpatch::simt
