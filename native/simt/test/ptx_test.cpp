// Compares the host implementations of PTX with plain loops, element by element, by the formulas of the PTX ISA. For
// the fragments of mma.m16n8k16, with g = lane / 4 and t = lane % 4:
//   a_i: row = g for i in {0, 1, 4, 5}, else g + 8; col = 2t + (i & 1), + 8 for i >= 4
//   b_i: row = 2t + (i & 1), + 8 for i >= 2; col = g
//   c_i: row = g for i < 2, else g + 8; col = 2t + (i & 1)
#include <cuda_bf16.h>

#include <cmath>

#include "../../cuda/ptx.cuh"
#include "../../cuda/shared.cuh"
#include "check.h"
#include "launch.h"

namespace nextpatch::simt {
namespace {

uint32_t element(__nv_bfloat16 value, int i) { return uint32_t(value.bits) << (i % 2 * 16); }

__global__ void mma_kernel(float* d, const __nv_bfloat16* a, const __nv_bfloat16* b) {
  const int lane = int(threadIdx.x), g = lane / 4, t = lane % 4;
  uint32_t a_regs[4] = {}, b_regs[2] = {};
  float d_regs[4];
  for (int i = 0; i < 8; ++i) {
    const int row = i == 0 || i == 1 || i == 4 || i == 5 ? g : g + 8;
    const int col = 2 * t + (i & 1) + (i >= 4 ? 8 : 0);
    a_regs[i / 2] |= element(a[row * 16 + col], i);
  }
  for (int i = 0; i < 4; ++i) b_regs[i / 2] |= element(b[(2 * t + (i & 1) + (i >= 2 ? 8 : 0)) * 8 + g], i);
  for (int i = 0; i < 4; ++i) d_regs[i] = d[(i < 2 ? g : g + 8) * 8 + 2 * t + (i & 1)];
  cuda::mma_m16n8k16_bf16(d_regs, a_regs, b_regs);
  for (int i = 0; i < 4; ++i) d[(i < 2 ? g : g + 8) * 8 + 2 * t + (i & 1)] = d_regs[i];
}

// Different for adjacent elements, exact in bf16.
__nv_bfloat16 sample(int i) { return __nv_bfloat16(float((i * 37 + 11) % 64 - 32) / 8); }

TEST(mma_is_a_matrix_product) {
  with_schedules([] {
    std::vector<__nv_bfloat16> a(16 * 16), b(16 * 8);
    std::vector<float> d(16 * 8), expected(16 * 8);
    for (int i = 0; i < 256; ++i) a[size_t(i)] = sample(i * i);
    for (int i = 0; i < 128; ++i) b[size_t(i)] = sample(i * 3 + i / 7);
    for (int i = 0; i < 128; ++i) d[size_t(i)] = float(i);
    for (int r = 0; r < 16; ++r) {
      for (int c = 0; c < 8; ++c) {
        double sum = r * 8 + c;
        for (int k = 0; k < 16; ++k) sum += double(a[size_t(r * 16 + k)]) * b[size_t(k * 8 + c)];
        expected[size_t(r * 8 + c)] = float(sum);
      }
    }
    EXPECT(problem<mma_kernel>(1, 32, 0, d.data(), a.data(), b.data()).empty());
    EXPECT(d == expected);  // all sums are exact
  });
}

// Matrix i, row r, column c holds 64 i + 8 r + c. Shared rows are not contiguous: 32 bytes apart, for the alignment.
constexpr int kRowBytes = 32;

template <bool Transposed>
__global__ void ldmatrix_kernel(uint32_t* out) {
  char* const tile = cuda::shared_memory<char>();
  const int lane = int(threadIdx.x);
  for (int col = 0; col < 8; ++col)
    reinterpret_cast<uint16_t*>(tile + lane * kRowBytes)[col] = uint16_t(lane * 8 + col);
  __syncwarp();
  uint32_t r[4];
  if constexpr (Transposed) {
    cuda::ldmatrix_x4_trans(r, tile + lane * kRowBytes);
  } else {
    cuda::ldmatrix_x4(r, tile + lane * kRowBytes);
  }
  for (int i = 0; i < 4; ++i) out[lane * 4 + i] = r[i];
}

template <bool Transposed>
void check_ldmatrix() {
  std::vector<uint32_t> out(32 * 4);
  EXPECT((problem<ldmatrix_kernel<Transposed>>(1, 32, 32 * kRowBytes, out.data()).empty()));
  for (int lane = 0; lane < 32; ++lane) {
    for (int i = 0; i < 4; ++i) {
      for (int half = 0; half < 2; ++half) {
        const int major = lane / 4, minor = lane % 4 * 2 + half;
        const int expected = 64 * i + (Transposed ? minor * 8 + major : major * 8 + minor);
        EXPECT(int(out[size_t(lane * 4 + i)] >> (16 * half) & 0xffff) == expected);
      }
    }
  }
}

TEST(ldmatrix_fragments) {
  with_schedules([] {
    check_ldmatrix<false>();
    check_ldmatrix<true>();
  });
}

__global__ void ldmatrix_outside_kernel(int byte) {
  uint32_t r[4];
  cuda::ldmatrix_x4(r, cuda::shared_memory<char>() + threadIdx.x * 16 + byte);
}

TEST(ldmatrix_checks_addresses) {
  EXPECT(problem<ldmatrix_outside_kernel>(1, 32, 512, 0).empty());
  EXPECT_CONTAINS(problem<ldmatrix_outside_kernel>(1, 32, 512, 16),
                  "ldmatrix.x4: the address is not in the block's 512 bytes");
  EXPECT_CONTAINS(problem<ldmatrix_outside_kernel>(1, 32, 528, 8), "not aligned to 16 bytes");
}

// out: before the wait, after waiting for all but the last group, after waiting for all.
__global__ void copy_async_kernel(unsigned* out, const unsigned* in) {
  unsigned* const tile = cuda::shared_memory<unsigned>();
  for (int i = 0; i < 8; ++i) tile[i] = 1;
  cuda::cp_async_16(tile, in);
  cuda::cp_async_commit();
  cuda::cp_async_16(tile + 4, in + 4, false);
  cuda::cp_async_commit();
  out[0] = tile[3];
  cuda::cp_async_wait<1>();
  out[1] = tile[3];
  out[2] = tile[7];
  cuda::cp_async_wait<0>();
  out[3] = tile[7];
}

TEST(asynchronous_copies_arrive_when_waited_for) {
  alignas(16) const unsigned in[8] = {10, 11, 12, 13, 14, 15, 16, 17};
  unsigned out[4] = {};
  EXPECT(problem<copy_async_kernel>(1, 1, 32, out, &in[0]).empty());
  EXPECT(out[0] == 0xffffffffu);  // and not the previous contents
  EXPECT(out[1] == 13);
  EXPECT(out[2] == 0xffffffffu);
  EXPECT(out[3] == 0);  // out of bounds: zeros
}

__global__ void uncommitted_kernel(unsigned* out, const unsigned* in) {
  cuda::cp_async_16(cuda::shared_memory<char>(), in);
  cuda::cp_async_wait<0>();
  out[0] = cuda::shared_memory<unsigned>()[0];
}

TEST(uncommitted_copies_do_not_arrive) {
  alignas(16) const unsigned in[4] = {10, 11, 12, 13};
  unsigned out[1] = {};
  EXPECT_CONTAINS(problem<uncommitted_kernel>(1, 1, 16, out, &in[0]), "exits with 1 cp.async that it never waited for");
  EXPECT(out[0] == 0xffffffffu);
}

TEST(bf16_rounds_to_nearest_even) {
  const auto bits = [](uint32_t word) { return __nv_bfloat16(__uint_as_float(word)).bits; };
  EXPECT(bits(0x3f808000u) == 0x3f80);  // half-way: to even
  EXPECT(bits(0x3f818000u) == 0x3f82);
  EXPECT(bits(0x3f808001u) == 0x3f81);
  EXPECT(bits(0x7f7fffffu) == 0x7f80);  // the largest f32 is beyond the largest bf16
  EXPECT(bits(0xff800000u) == 0xff80);
  EXPECT((bits(0x7f800001u) & 0x7fff) > 0x7f80);  // NaN stays NaN
  for (uint32_t i = 0; i < 0x10000; ++i)
    if (std::isfinite(__uint_as_float(i << 16))) EXPECT(bits(i << 16) == i);
}

}  // namespace
}  // namespace nextpatch::simt
