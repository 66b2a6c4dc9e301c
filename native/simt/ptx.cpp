// Host implementations of the PTX wrappers of native/cuda/ptx.cuh, by the fragment layouts of the PTX ISA
// ("Matrix Fragments for mma.m16n8k16", "ldmatrix").
#include "../cuda/ptx.cuh"

#include <cstring>

#include "races.h"
#include "runner.h"

namespace nextpatch::cuda {
namespace {

float low(uint32_t pair) { return __uint_as_float(pair << 16); }
float high(uint32_t pair) { return __uint_as_float(pair & 0xffff0000u); }

struct Mma {
  float* d;
  const uint32_t* a;
  const uint32_t* b;
};

// Lane l, with row = l / 4 and column = 2 (l % 4), holds pairs of adjacent columns of A (16 x 16) and D (16 x 8), and
// pairs of adjacent rows of B (16 x 8).
void mma(Mma* const* lanes, unsigned) {
  float a[16][16], b[16][8];
  for (int lane = 0; lane < 32; ++lane) {
    const int row = lane / 4, col = lane % 4 * 2;
    for (int i = 0; i < 4; ++i) {
      const int r = row + i % 2 * 8, c = col + i / 2 * 8;
      a[r][c] = low(lanes[lane]->a[i]);
      a[r][c + 1] = high(lanes[lane]->a[i]);
    }
    for (int i = 0; i < 2; ++i) {
      b[col + i * 8][row] = low(lanes[lane]->b[i]);
      b[col + i * 8 + 1][row] = high(lanes[lane]->b[i]);
    }
  }
  for (int lane = 0; lane < 32; ++lane) {
    for (int i = 0; i < 4; ++i) {
      const int r = lane / 4 + i / 2 * 8, c = lane % 4 * 2 + i % 2;
      float sum = lanes[lane]->d[i];
      if (simt::hardware_math()) {
        double products[16];
        for (int k = 0; k < 16; ++k) products[k] = double(a[r][k]) * double(b[k][c]);
        sum = simt::truncated_sum(sum, products, 16);
      } else {
        for (int k = 0; k < 16; ++k) sum += a[r][k] * b[k][c];
      }
      lanes[lane]->d[i] = sum;
    }
  }
}

struct Ldmatrix {
  const char* what;
  uint32_t* registers;
  const void* row;
  bool transposed;
};

// Lanes 8i to 8i+7 give the addresses of the rows of matrix i, each of 8 elements of 16 bits. Lane l receives
// element 2 (l % 4) and the next one of row l / 4; transposed: of column l / 4.
void ldmatrix(Ldmatrix* const* lanes, unsigned) {
  for (int i = 0; i < 4; ++i) {
    uint16_t elements[8][8];
    for (int row = 0; row < 8; ++row) {
      const void* address = lanes[i * 8 + row]->row;
      simt::check_shared(lanes[0]->what, address, 16, 16);
      simt::note_access(address, 16, simt::Access::read, i * 8 + row);
      std::memcpy(elements[row], address, 16);
    }
    for (int lane = 0; lane < 32; ++lane) {
      const int major = lane / 4, minor = lane % 4 * 2;
      const bool transposed = lanes[lane]->transposed;
      const uint32_t first = transposed ? elements[minor][major] : elements[major][minor];
      const uint32_t second = transposed ? elements[minor + 1][major] : elements[major][minor + 1];
      lanes[lane]->registers[i] = first | second << 16;
    }
  }
}

void meet_at_ldmatrix(const char* what, uint32_t* registers, const void* row, bool transposed) {
  Ldmatrix lane{what, registers, row, transposed};
  simt::meet<Ldmatrix>(what, 0xffffffffu, lane, ldmatrix);
}

}  // namespace

void mma_m16n8k16_bf16(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
  Mma lane{d, a, b};
  simt::meet<Mma>("mma.m16n8k16", 0xffffffffu, lane, mma);
}

void ldmatrix_x4(uint32_t (&r)[4], const void* row) { meet_at_ldmatrix("ldmatrix.x4", r, row, false); }
void ldmatrix_x4_trans(uint32_t (&r)[4], const void* row) { meet_at_ldmatrix("ldmatrix.x4.trans", r, row, true); }

void cp_async_16(void* shared, const void* global, bool in_bounds) {
  simt::copy_async(shared, global, 16, in_bounds ? 16 : 0);
}
void cp_async_commit() { simt::copy_async_commit(); }
void cp_async_wait_groups(int groups_left) { simt::copy_async_wait(groups_left); }

void named_barrier(int id, int threads) { simt::block_barrier("bar.sync", id, threads); }

float exp2_approx(float x) { return simt::approximate(exp2f(x), x, 2); }

}  // namespace nextpatch::cuda
