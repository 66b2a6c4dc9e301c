// Compares products of warpgroups on the host with plain loops, element by element, and checks that what would be wrong
// on a GPU is noticed. Layouts are written here from the PTX ISA, and not taken from the kernels.
#include "../../cuda/wgmma.cuh"

#include <cuda_bf16.h>

#include <cmath>
#include <cstring>

#include "../../cuda/ptx.cuh"
#include "../../cuda/shared.cuh"
#include "check.h"
#include "launch.h"

namespace nextpatch::simt {
namespace {

using cuda::MatrixDescriptor;
using Bf16 = __nv_bfloat16;

// Different for adjacent elements, and so small that all sums of products are exact.
Bf16 sample(int i) { return Bf16(float((i * 37 + i / 5 * 11) % 64 - 32) / 8); }

std::vector<Bf16> samples(int count, int seed) {
  std::vector<Bf16> all;
  for (int i = 0; i < count; ++i) all.push_back(sample(i * seed + seed));
  return all;
}

// Where a matrix of so many rows has an element: in panels of 64 columns with rows of 128 bytes, whose 16-byte chunks
// are exchanged by the row's number modulo 8.
int place(int rows, int row, int column) {
  return column / 64 * rows * 64 + row * 64 + (column % 64 / 8 ^ row % 8) * 8 + column % 8;
}
constexpr int panels(int columns) { return (columns + 63) / 64; }

// A row-major matrix from global memory, by all threads.
void fill(Bf16* panel, const Bf16* from, int rows, int columns) {
  for (int i = int(threadIdx.x); i < rows * columns; i += int(blockDim.x))
    panel[place(rows, i / columns, i % columns)] = from[i];
}

// a[64, depth] of this thread in registers, 16 columns from `column` on: those of mma.m16n8k16 for its warp's rows.
void load_registers(uint32_t (&registers)[4], const Bf16* a, int depth, int column) {
  const int lane = int(threadIdx.x) % 32, row = int(threadIdx.x) % 128 / 32 * 16 + lane / 4;
  for (int i = 0; i < 4; ++i)
    std::memcpy(&registers[i], a + (row + i % 2 * 8) * depth + column + i / 2 * 8 + lane % 4 * 2, 4);
}

enum class Left { shared, registers };
enum class Right { columns, rows };  // what b has in a row of shared memory: a column of the product's b, or a row

template <int N, Left left, Right right>
void start(float (&d)[N / 8][4], MatrixDescriptor a, const uint32_t (&a_registers)[4], MatrixDescriptor b, bool add) {
  if constexpr (N == 16)
    cuda::wgmma_m64n16k16_bf16_by_rows(d, a_registers, b, add);
  else if constexpr (N == 32)
    cuda::wgmma_m64n32k16_bf16_by_rows(d, a_registers, b, add);
  else if constexpr (N == 64 && right == Right::rows)
    cuda::wgmma_m64n64k16_bf16_by_rows(d, a_registers, b, add);
  else if constexpr (N == 128 && right == Right::rows)
    cuda::wgmma_m64n128k16_bf16_by_rows(d, a_registers, b, add);
  else if constexpr (N == 64 && left == Left::shared)
    cuda::wgmma_m64n64k16_bf16(d, a, b, add);
  else if constexpr (N == 64)
    cuda::wgmma_m64n64k16_bf16(d, a_registers, b, add);
  else if constexpr (left == Left::shared)
    cuda::wgmma_m64n128k16_bf16(d, a, b, add);
  else
    cuda::wgmma_m64n128k16_bf16(d, a_registers, b, add);
}

template <int N>
void store_sums(float* to, const float (&d)[N / 8][4]) {
  const int lane = int(threadIdx.x) % 32, row = int(threadIdx.x) / 32 * 16 + lane / 4;
  for (int tile = 0; tile < N / 8; ++tile)
    for (int i = 0; i < 4; ++i) to[(row + i / 2 * 8) * N + tile * 8 + lane % 4 * 2 + i % 2] = d[tile][i];
}

constexpr int kDepth = 96;  // a panel that is full and one that is not
constexpr int kARows = 64;

template <int N, Right right>
constexpr int kBRows = right == Right::rows ? kDepth : N;
template <int N, Right right>
constexpr int kBColumns = right == Right::rows ? N : kDepth;
template <int N, Right right>
constexpr size_t kProductBytes =
    size_t(kARows * panels(kDepth) + kBRows<N, right> * panels(kBColumns<N, right>)) * 64 * sizeof(Bf16);

// d[64 a warpgroup, N] = a[64, 96] b, plus d if `add`; every warpgroup has the same operands.
template <int N, Left left, Right right>
__global__ void product_kernel(float* out, const Bf16* a, const Bf16* b, bool add) {
  constexpr int kRows = kBRows<N, right>, kColumns = kBColumns<N, right>;
  Bf16* const a_tile = cuda::shared_memory<Bf16>();
  Bf16* const b_tile = a_tile + kARows * panels(kDepth) * 64;
  fill(a_tile, a, kARows, kDepth);
  fill(b_tile, b, kRows, kColumns);
  cuda::fence_shared_for_wgmma();
  __syncthreads();
  const MatrixDescriptor left_tile = cuda::panel_descriptor(a_tile, kARows * 128);
  const MatrixDescriptor right_tile = cuda::panel_descriptor(b_tile, kRows * 128);
  float d[N / 8][4];
  for (auto& tile : d)
    for (float& x : tile) x = float(threadIdx.x % 128);
  uint32_t a_registers[kDepth / 16][4];
  cuda::wgmma_fence();
  for (int k = 0; k < kDepth / 16; ++k) {
    load_registers(a_registers[k], a, kDepth, k * 16);
    const auto columns_from = [&](int rows) { return k / 4 * rows * 128 + k % 4 * 32; };
    start<N, left, right>(d, left_tile + columns_from(kARows), a_registers[k],
                          right_tile + (right == Right::rows ? k * 16 * 128 : columns_from(kRows)), add || k > 0);
  }
  cuda::wgmma_commit();
  cuda::wgmma_wait<0>();
  store_sums<N>(out, d);
}

template <int N, Left left, Right right>
void check_product(int groups, bool add) {
  constexpr int kColumns = kBColumns<N, right>;
  const std::vector<Bf16> a = samples(kARows * kDepth, 3), b = samples(kDepth * N, 7);
  std::vector<float> out(size_t(groups * kARows * N)), expected(out.size());
  for (int row = 0; row < groups * kARows; ++row)
    for (int column = 0; column < N; ++column) {
      // The thread of an element, by the PTX ISA's table.
      const int thread = row % 64 / 16 * 32 + row % 8 * 4 + column % 8 / 2;
      double sum = add ? thread : 0;
      for (int k = 0; k < kDepth; ++k)
        sum += double(a[size_t(row % 64 * kDepth + k)]) *
               b[size_t(right == Right::rows ? k * kColumns + column : column * kColumns + k)];
      expected[size_t(row * N + column)] = float(sum);
    }
  EXPECT((problem<product_kernel<N, left, right>>(1, dim3(unsigned(groups * 128)), kProductBytes<N, right>, out.data(),
                                                  a.data(), b.data(), add) == ""));
  EXPECT(out == expected);
}

TEST(wgmma_is_a_matrix_product) {
  with_schedules([] {
    for (const bool add : {false, true}) {
      check_product<64, Left::shared, Right::columns>(1, add);
      check_product<64, Left::registers, Right::columns>(1, add);
      check_product<64, Left::registers, Right::rows>(1, add);
      check_product<128, Left::shared, Right::columns>(1, add);
      check_product<128, Left::registers, Right::columns>(1, add);
      check_product<128, Left::registers, Right::rows>(1, add);  // b has two panels
      check_product<16, Left::registers, Right::rows>(1, add);
      check_product<32, Left::registers, Right::rows>(1, add);
    }
  });
}

TEST(wgmma_of_several_warpgroups) {
  with_schedules([] {
    check_product<64, Left::shared, Right::columns>(2, true);
    check_product<128, Left::registers, Right::rows>(3, false);
  });
}

// ---- What runs beside the threads ---------------------------------------------------------------------

constexpr size_t kSquareBytes = 2 * 64 * 64 * sizeof(Bf16);

// a and b [64, 64] in shared memory, for products over their first 16 columns.
struct Squares {
  Bf16 *a, *b;
  MatrixDescriptor left, right;
  uint32_t a_registers[4];

  Squares(const Bf16* from_a, const Bf16* from_b)
      : a(cuda::shared_memory<Bf16>()),
        b(a + 64 * 64),
        left(cuda::panel_descriptor(a, 0)),
        right(cuda::panel_descriptor(b, 0)) {
    fill(a, from_a, 64, 64);
    fill(b, from_b, 64, 64);
    load_registers(a_registers, from_a, 64, 0);
    cuda::fence_shared_for_wgmma();
    __syncthreads();
    cuda::wgmma_fence();
  }
};

struct SquareProblem {
  std::vector<Bf16> a = samples(64 * 64, 3), b = samples(64 * 64, 5);
  std::vector<float> out = std::vector<float>(64 * 64);

  template <auto Kernel, typename... Args>
  std::string run(Args... args) {
    return problem<Kernel>(1, 128, kSquareBytes, out.data(), a.data(), b.data(), args...);
  }
  float exact(int row, int column) const {
    double sum = 0;
    for (int k = 0; k < 16; ++k) sum += double(a[size_t(row * 64 + k)]) * b[size_t(column * 64 + k)];
    return float(sum);
  }
  // Whether every element is `times` the exact product.
  bool is_product(int times = 1) const {
    for (int i = 0; i < 64 * 64; ++i)
      if (out[size_t(i)] != float(times) * exact(i / 64, i % 64)) return false;
    return true;
  }
  bool is_nan() const {
    for (const float x : out)
      if (!std::isnan(x)) return false;
    return true;
  }
};

// Two groups of products; the sums of one of them are stored when so many groups may be incomplete, 2 without a wait.
template <int groups_left>
__global__ void two_groups_kernel(float* out, const Bf16* a, const Bf16* b, bool second) {
  const Squares at(a, b);
  float d[8][4], other[8][4];
  cuda::wgmma_m64n64k16_bf16(d, at.left, at.right, false);
  cuda::wgmma_commit();
  cuda::wgmma_m64n64k16_bf16(other, at.a_registers, at.right, false);
  cuda::wgmma_commit();
  if constexpr (groups_left < 2) cuda::wgmma_wait<groups_left>();
  store_sums<64>(out, second ? other : d);
  cuda::wgmma_wait<0>();
}

TEST(wgmma_sums_are_there_when_waited_for) {
  with_schedules([] {
    SquareProblem on;
    EXPECT(on.run<two_groups_kernel<2>>(false) == "");
    EXPECT(on.is_nan());
    EXPECT(on.run<two_groups_kernel<1>>(false) == "");
    EXPECT(on.is_product());
    EXPECT(on.run<two_groups_kernel<1>>(true) == "");
    EXPECT(on.is_nan());
    EXPECT(on.run<two_groups_kernel<0>>(true) == "");
    EXPECT(on.is_product());
  });
}

// Two groups that add to the same sums, which are complete with the second.
template <int groups_left>
__global__ void same_sums_kernel(float* out, const Bf16* a, const Bf16* b) {
  const Squares at(a, b);
  float d[8][4];
  for (int group = 0; group < 2; ++group) {
    cuda::wgmma_m64n64k16_bf16(d, at.left, at.right, group > 0);
    cuda::wgmma_commit();
  }
  cuda::wgmma_wait<groups_left>();
  store_sums<64>(out, d);
  cuda::wgmma_wait<0>();
}

TEST(wgmma_sums_that_a_later_product_adds_to_are_not_there_yet) {
  with_schedules([] {
    SquareProblem on;
    EXPECT(on.run<same_sums_kernel<1>>() == "");
    EXPECT(on.is_nan());
    EXPECT(on.run<same_sums_kernel<0>>() == "");
    EXPECT(on.is_product(2));
  });
}

// The sums are written while the product runs.
__global__ void written_sums_kernel(float* out, const Bf16* a, const Bf16* b) {
  const Squares at(a, b);
  float d[8][4];
  cuda::wgmma_m64n64k16_bf16(d, at.left, at.right, false);
  cuda::wgmma_commit();
  for (auto& tile : d)
    for (float& x : tile) x = 1;
  cuda::wgmma_wait<0>();
  store_sums<64>(out, d);
}

TEST(wgmma_sums_lose_what_is_written_while_it_runs) {
  with_schedules([] {
    SquareProblem on;
    EXPECT(on.run<written_sums_kernel>() == "");
    EXPECT(on.is_product());
  });
}

enum class Overwritten { a_registers, a, b };

// An operand is overwritten while the product runs, or once it is done.
template <Overwritten overwritten, bool waits>
__global__ void overwriting_kernel(float* out, const Bf16* a, const Bf16* b) {
  Squares at(a, b);
  float d[8][4];
  if constexpr (overwritten == Overwritten::a_registers)
    cuda::wgmma_m64n64k16_bf16(d, at.a_registers, at.right, false);
  else
    cuda::wgmma_m64n64k16_bf16(d, at.left, at.right, false);
  cuda::wgmma_commit();
  if constexpr (waits) {
    cuda::wgmma_wait<0>();
    __syncthreads();
  }
  if constexpr (overwritten == Overwritten::a_registers) {
    for (uint32_t& pair : at.a_registers) pair = 0;
  } else {
    Bf16* const tile = overwritten == Overwritten::a ? at.a : at.b;
    for (int i = int(threadIdx.x); i < 64 * 64; i += 128) tile[i] = Bf16(0.0f);
  }
  if constexpr (!waits) cuda::wgmma_wait<0>();
  store_sums<64>(out, d);
}

template <Overwritten overwritten>
void check_overwritten() {
  SquareProblem on;
  EXPECT((on.run<overwriting_kernel<overwritten, false>>() == ""));
  EXPECT(on.is_product() == (schedule_order() == Schedule::Order::forward));
  EXPECT((on.run<overwriting_kernel<overwritten, true>>() == ""));
  EXPECT(on.is_product());
}

TEST(wgmma_operands_overwritten_too_early_change_with_the_schedule) {
  with_schedules([] {
    check_overwritten<Overwritten::a_registers>();
    check_overwritten<Overwritten::a>();
    check_overwritten<Overwritten::b>();
  });
}

// ---- What stops a kernel ------------------------------------------------------------------------------

enum class Missing { wait, commit };

template <Missing missing>
__global__ void unfinished_kernel(float* out, const Bf16* a, const Bf16* b) {
  const Squares at(a, b);
  float d[8][4];
  cuda::wgmma_m64n64k16_bf16(d, at.left, at.right, false);
  if constexpr (missing != Missing::commit) cuda::wgmma_commit();
  if constexpr (missing != Missing::wait) cuda::wgmma_wait<0>();
}

TEST(wgmma_must_be_committed_and_waited_for) {
  with_schedules([] {
    SquareProblem on;
    EXPECT_CONTAINS(on.run<unfinished_kernel<Missing::wait>>(), "exits with a wgmma that it never waited for");
    EXPECT_CONTAINS(on.run<unfinished_kernel<Missing::commit>>(), "exits with a wgmma that it never waited for");
  });
}

enum class Differs { warp, warp_leaves_out, lane };

template <Differs differs>
__global__ void different_kernel(float* out, const Bf16* a, const Bf16* b) {
  const Squares at(a, b);
  float d[8][4] = {};
  const bool other = differs == Differs::lane ? threadIdx.x == 37 : threadIdx.x / 32 == 2;
  if (differs != Differs::warp_leaves_out || !other)
    cuda::wgmma_m64n64k16_bf16(d, at.left, at.right + (other ? 32 : 0), false);
  cuda::wgmma_commit();
  cuda::wgmma_wait<0>();
}

TEST(wgmma_is_begun_by_a_whole_warpgroup) {
  with_schedules([] {
    SquareProblem on;
    EXPECT_CONTAINS(on.run<different_kernel<Differs::warp>>(), "the warps of a warpgroup begin different products");
    EXPECT_CONTAINS(on.run<different_kernel<Differs::warp_leaves_out>>(),
                    "warp 2 began 0 wgmma, others of its warpgroup 1");
    EXPECT_CONTAINS(on.run<different_kernel<Differs::lane>>(), "begins another wgmma than lane 0");
    EXPECT_CONTAINS((problem<two_groups_kernel<0>>(1, 96, kSquareBytes, on.out.data(), on.a.data(), on.b.data(), true)),
                    "expected a block of whole warpgroups");
  });
}

// Descriptors with these bits changed, so many bytes further on.
__global__ void descriptor_kernel(float* out, const Bf16* a, const Bf16* b, uint64_t changed, int bytes) {
  const Squares at(a, b);
  float d[8][4];
  cuda::wgmma_m64n64k16_bf16(d, at.left, MatrixDescriptor{at.right.bits ^ changed} + bytes, false);
  cuda::wgmma_commit();
  cuda::wgmma_wait<0>();
  store_sums<64>(out, d);
}

TEST(wgmma_descriptors_are_checked) {
  with_schedules([] {
    SquareProblem on;
    const uint64_t none = 0;
    EXPECT(on.run<descriptor_kernel>(none, 0) == "");
    EXPECT(on.is_product());
    EXPECT_CONTAINS(on.run<descriptor_kernel>(uint64_t(1) << 62, 0), "a descriptor with a swizzle of 128 bytes");
    EXPECT_CONTAINS(on.run<descriptor_kernel>(uint64_t(3) << 62, 0), "a descriptor with a swizzle of 128 bytes");
    EXPECT_CONTAINS(on.run<descriptor_kernel>(uint64_t(1) << 49, 0), "a descriptor without a base offset");
    EXPECT_CONTAINS(on.run<descriptor_kernel>(none, 1024), "wgmma: the address is not in the block's 16384 bytes");
  });
}

// The chunks of the rows are not exchanged, as the descriptor says that they are.
__global__ void unswizzled_kernel(float* out, const Bf16* a, const Bf16* b) {
  const Squares at(a, b);
  for (int i = int(threadIdx.x); i < 64 * 64; i += 128) at.b[i] = b[i];
  cuda::fence_shared_for_wgmma();
  __syncthreads();
  float d[8][4];
  cuda::wgmma_m64n64k16_bf16(d, at.left, at.right, false);
  cuda::wgmma_commit();
  cuda::wgmma_wait<0>();
  store_sums<64>(out, d);
}

TEST(wgmma_reads_swizzled_rows) {
  SquareProblem on;
  EXPECT(on.run<unswizzled_kernel>() == "");
  EXPECT(!on.is_product());
}

// Copies bring b, and one thread may leave out the fence.
__global__ void copied_kernel(float* out, const Bf16* a, const Bf16* b, int unfenced) {
  const Squares at(a, b);
  for (int i = int(threadIdx.x); i < 64 * 8; i += 128) cuda::cp_async_16(at.b + place(64, i / 8, i % 8 * 8), b + i * 8);
  cuda::cp_async_commit();
  cuda::cp_async_wait<0>();
  if (int(threadIdx.x) != unfenced) cuda::fence_shared_for_wgmma();
  __syncthreads();
  float d[8][4];
  cuda::wgmma_m64n64k16_bf16(d, at.left, at.right, false);
  cuda::wgmma_commit();
  cuda::wgmma_wait<0>();
  store_sums<64>(out, d);
}

TEST(wgmma_reads_only_copies_that_were_fenced) {
  with_schedules([] {
    SquareProblem on;
    EXPECT(on.run<copied_kernel>(-1) == "");
    EXPECT(on.is_product());
    EXPECT_CONTAINS(on.run<copied_kernel>(77), "what cp.async has brought was not fenced");
  });
}

}  // namespace
}  // namespace nextpatch::simt
