// Tiles of bf16 rows in shared memory: filled by cp.async, read by ldmatrix, and also used to store results.
#pragma once

#include <cstring>

#include "../ptx.cuh"
#include "../vector.cuh"

namespace nextpatch::cuda {

// Row-major tile of D columns, swizzled, without padding. A chunk is 8 elements, 16 bytes: ldmatrix reads one from
// each of 8 rows at once, an eighth of the banks each. Chunks are permuted within their row so that the same chunk of
// 8 adjacent rows is in different banks, for every D that is a multiple of 16.
template <int D>
struct Tile {
  static constexpr int kChunks = D / 8;
  // Rows are kChunks * 4 banks apart. Rows that would share banks are separated by an exclusive or on the low bits of
  // the chunk's number, as many bits as stay within a row.
  static constexpr int kTurned = kChunks % 8 == 0 ? 8 : kChunks % 4 == 0 ? 4 : 2;
  static constexpr int kRowsBetween = 8 / kTurned;

  static __device__ __forceinline__ unsigned turn(unsigned row) { return row / kRowsBetween % kTurned; }
  static __device__ __forceinline__ bf16* chunk(bf16* tile, unsigned row, unsigned chunk) {
    return tile + row * D + (chunk ^ turn(row)) * 8;
  }
};

// Starts copying Rows rows of D elements; those from `valid` on become zeros. All Threads threads, the whole block,
// call it. The number of copies per thread is a constant, so they compile to a sequence without branches.
template <int D, int Rows, int Threads>
__device__ __forceinline__ void start_tile(bf16* tile, const bf16* rows, int row_stride, int valid) {
  constexpr unsigned kChunks = Tile<D>::kChunks, kTotal = Rows * kChunks, kRowsAtOnce = Threads / kChunks;
  const unsigned thread = threadIdx.x;
  if constexpr (Threads % kChunks == 0 && kRowsAtOnce % 8 == 0) {
    // A thread's rows have the same permutation, and its chunk is the same in all of them: it steps from row to row.
    static_assert(Rows % kRowsAtOnce == 0);
    const unsigned row = thread / kChunks, chunk = thread % kChunks;
    bf16* const to = Tile<D>::chunk(tile, row, chunk);
    int from = int(row) * row_stride + int(chunk) * 8;
    const int left = valid - int(row);
#pragma unroll 4  // at D = 128, unrolling all takes too many registers
    for (int i = 0; i < Rows; i += kRowsAtOnce, from += kRowsAtOnce * row_stride)
      cp_async_16(to + i * D, rows + from, i < left);
  } else {
#pragma unroll
    for (unsigned first = 0; first < kTotal; first += Threads) {
      const unsigned i = first + thread, row = i / kChunks, chunk = i % kChunks;
      if (first + Threads > kTotal && i >= kTotal) break;
      cp_async_16(Tile<D>::chunk(tile, row, chunk), rows + int64_t(row) * row_stride + chunk * 8, int(row) < valid);
    }
  }
}

// A lane's ldmatrix address in a tile: one of 16 rows (the next 16 are an immediate offset away), and one of two
// adjacent chunks.
template <int D>
class Fragments {
 public:
  // Matrices: rows 0-7, rows 8-15 of the first chunk, then of the second. The A operand of a product, or, read with
  // _trans, B if the sum is over the tile's rows.
  static __device__ __forceinline__ Fragments down(const bf16* tile) {
    const unsigned lane = threadIdx.x % 32;
    return Fragments(tile, lane % 16, lane / 16);
  }
  // Matrices: both chunks of rows 0-7, then of rows 8-15. B if the sum is over the tile's columns.
  static __device__ __forceinline__ Fragments across(const bf16* tile) {
    const unsigned lane = threadIdx.x % 32;
    return Fragments(tile, lane / 16 * 8 + lane % 8, lane / 8 % 2);
  }

  // Row and columns in units of 16.
  __device__ __forceinline__ const bf16* at(int row, int column) const {
    return row_ + row * 16 * D + ((column * 16) ^ turned_chunk_);
  }

 private:
  __device__ __forceinline__ Fragments(const bf16* tile, unsigned row, unsigned chunk)
      : row_(tile + row * D), turned_chunk_((chunk ^ Tile<D>::turn(row)) * 8) {}

  const bf16* row_;
  unsigned turned_chunk_;
};

__device__ __forceinline__ uint32_t pack_bf16(float low, float high) {
  const __nv_bfloat162 pair = __floats2bfloat162_rn(low, high);
  uint32_t word;
  memcpy(&word, &pair, sizeof word);
  return word;
}

// Writes a warp's Slabs * 16 rows of x[row] * factor(slab, half) to global memory, 16 bytes per access, through `tile`,
// which no other warp may use; rows from `valid` on are left out.
template <int D, int Slabs, typename Factor>
__device__ __forceinline__ void store_rows(bf16* rows, int row_stride, int valid, bf16* tile,
                                           const float (&x)[Slabs][D / 8][4], const Factor& factor) {
  const unsigned lane = threadIdx.x % 32;
  __syncwarp();
#pragma unroll
  for (int slab = 0; slab < Slabs; ++slab) {
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      const float by = factor(slab, half);
      const unsigned row = slab * 16 + half * 8 + lane / 4;
#pragma unroll
      for (int chunk = 0; chunk < D / 8; ++chunk) {
        const uint32_t pair = pack_bf16(x[slab][chunk][half * 2] * by, x[slab][chunk][half * 2 + 1] * by);
        *reinterpret_cast<uint32_t*>(Tile<D>::chunk(tile, row, chunk) + lane % 4 * 2) = pair;
      }
    }
  }
  __syncwarp();
  constexpr unsigned kChunks = Tile<D>::kChunks, kTotal = Slabs * 16 * kChunks;
#pragma unroll
  for (unsigned i = lane; i < kTotal; i += 32) {
    const unsigned row = i / kChunks, chunk = i % kChunks;
    if (int(row) < valid)
      store(rows + int64_t(row) * row_stride + chunk * 8, load<bf16, 8>(Tile<D>::chunk(tile, row, chunk)));
  }
}

}  // namespace nextpatch::cuda
