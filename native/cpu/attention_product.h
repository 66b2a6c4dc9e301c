// Products of small packed matrices, as attention needs them: the accumulators stay in registers during the whole
// sum. The unit along the summed dimension is a 32-bit Word: one float, or a pair of bf16 on processors that
// multiply them (AVX512-BF16). On other processors bf16 tensors are widened to float.
#pragma once

#include <algorithm>

#include "vec_math.h"

namespace nextpatch::cpu::attention {

// Two adjacent bf16 along the summed dimension, the first in the low half.
struct Pair {
  uint32_t bits;
};

template <typename Word>
constexpr int kPerWord = 1;
template <>
inline constexpr int kPerWord<Pair> = 2;

// The Word that products of tensors of type T are computed with.
template <typename T>
struct Operand {
  using Word = float;
};
#if defined(__AVX512BF16__) && defined(__AVX512BW__)
template <>
struct Operand<bf16> {
  using Word = Pair;
};
#endif

inline Reg multiply_add(float a, const float* b, Reg sum) { return reg_splat(a) * reg_load(b) + sum; }
#if defined(__AVX512BF16__) && defined(__AVX512BW__)
inline Reg multiply_add(Pair a, const Pair* b, Reg sum) {
  return (Reg)_mm512_dpbf16_ps((__m512)sum, (__m512bh)_mm512_set1_epi32(int(a.bits)), (__m512bh)_mm512_loadu_si512(b));
}
#endif

// The initial value of the sum.
enum class Onto {
  zero,
  sum,       // c
  rescaled,  // c with its columns multiplied by `rescale`
  apart,     // zero, and c is added at the end
};

// The matrices of c = a b: c[rows, cols] f32, a[rows, words], b[words, cols], row-major with row strides ld*.
template <typename Word>
struct Product {
  float* c;
  int64_t ldc;
  const Word* a;
  int64_t lda;
  const Word* b;
  int64_t ldb;
  int words;
  const float* rescale = nullptr;
};

// One block of M rows and N registers of columns, at (row, col).
template <Onto onto, int M, int N, typename Word>
inline void multiply_block(const Product<Word>& p, int row, int col) {
  Reg sum[M][N];
  float* const c = p.c + row * p.ldc + col;
  const Word* const a = p.a + row * p.lda;
  const Word* b = p.b + col;
#pragma GCC unroll 8
  for (int m = 0; m < M; ++m)
#pragma GCC unroll 8
    for (int n = 0; n < N; ++n) {
      if constexpr (onto == Onto::zero || onto == Onto::apart) {
        sum[m][n] = Reg{};
      } else {
        sum[m][n] = reg_load(c + m * p.ldc + n * kRegLanes);
        if constexpr (onto == Onto::rescaled) sum[m][n] *= reg_load(p.rescale + col + n * kRegLanes);
      }
    }
  for (int w = 0; w < p.words; ++w, b += p.ldb) {
#pragma GCC unroll 8
    for (int m = 0; m < M; ++m)
#pragma GCC unroll 8
      for (int n = 0; n < N; ++n) sum[m][n] = multiply_add(a[m * p.lda + w], b + n * kRegLanes, sum[m][n]);
  }
#pragma GCC unroll 8
  for (int m = 0; m < M; ++m)
#pragma GCC unroll 8
    for (int n = 0; n < N; ++n) {
      float* const to = c + m * p.ldc + n * kRegLanes;
      if constexpr (onto == Onto::apart) sum[m][n] += reg_load(to);
      reg_store(to, sum[m][n]);
    }
}

template <Onto onto, int M, int N, typename Word>
inline void multiply_rows(const Product<Word>& p, int row, int rows, int col) {
  for (int m = row; m < row + rows; m += M) multiply_block<onto, M, N>(p, m, col);
}

// Rows are processed in blocks of at most this size, so row ranges are multiples of it.
constexpr int kRowBlock = 8;

// c[row .. row+rows, col .. cols) = (or +=) a b. rows is a multiple of kRowBlock; col and cols are multiples of
// kRegLanes. Blocks are as large as the register file allows, with enough independent sums to hide the latency.
template <Onto onto, typename Word>
void multiply(const Product<Word>& p, int row, int rows, int col, int cols) {
  while (col < cols) {
    const int regs = (cols - col) / kRegLanes;
    if (kRegs == 32 && regs >= 4) {
      multiply_rows<onto, 4, 4>(p, row, rows, col);
      col += 4 * kRegLanes;
    } else if (kRegs == 32 && regs == 3) {
      multiply_rows<onto, 4, 3>(p, row, rows, col);
      col += 3 * kRegLanes;
    } else if (regs >= 2) {
      multiply_rows<onto, kRegs == 32 ? 8 : 4, 2>(p, row, rows, col);
      col += 2 * kRegLanes;
    } else {
      multiply_rows<onto, 8, 1>(p, row, rows, col);
      col += kRegLanes;
    }
  }
}

// c[row .. row+rows, col .. cols) = a b for sums over the head dimension: every kPart words are summed separately. The
// backward pass subtracts nearly equal numbers, which would expose the error of a longer chain. Without fused
// multiply-adds each term rounds twice, and half as many terms have that error.
template <typename Word>
void multiply_in_parts(Product<Word> p, int row, int rows, int col, int cols) {
#if defined(__x86_64__) && !defined(__FMA__)
  constexpr int kPart = 64;
#else
  constexpr int kPart = 128;
#endif
  int left = p.words;
  p.words = std::min(left, kPart);
  multiply<Onto::zero>(p, row, rows, col, cols);
  while ((left -= kPart) > 0) {
    p.a += kPart;
    p.b += kPart * p.ldb;
    p.words = std::min(left, kPart);
    multiply<Onto::apart>(p, row, rows, col, cols);
  }
}

}  // namespace nextpatch::cpu::attention
