// A warpgroup's products (wgmma.cuh) for attention: tiles in panels of 64 columns, and sums in registers. Its 64 rows
// are 16 for each of its four warps, so that a warp has Accumulator<1, columns>, and what is done with one between two
// products is the same as for a warp's own products (product.cuh).
#pragma once

#include "../ptx.cuh"
#include "../vector.cuh"
#include "../wgmma.cuh"
#include "product.cuh"
#include "shared_tile.cuh"
#include "warpgroup_sizes.cuh"

namespace nextpatch::cuda {

constexpr int kWarpgroup = 128;  // threads
constexpr int kGroupRows = 64;   // of a product

// Rows x D in shared memory: panels of Rows x 64. Of the last one only D % 64 columns may be used.
template <int D, int Rows>
struct Panels {
  static_assert(D % 16 == 0 && Rows % 8 == 0);
  static constexpr int kElements = Rows * padded_head_dim(D);
  static constexpr int kPanelBytes = Rows * 128;

  static __device__ __forceinline__ bf16* chunk(bf16* tile, unsigned row, unsigned chunk) {
    return Tile<64>::chunk(tile + chunk / 8 * (Rows * 64), row, chunk % 8);
  }
  static __device__ __forceinline__ MatrixDescriptor descriptor(const bf16* tile) {
    return panel_descriptor(tile, kPanelBytes);
  }
  // From a descriptor to 16 columns further on, k times, in bytes.
  static __host__ __device__ constexpr int columns_from(int k) { return k / 4 * kPanelBytes + k % 4 * 32; }
  // From a descriptor to 16 rows further on, k times, in bytes.
  static __host__ __device__ constexpr int rows_from(int k) { return k * 16 * 128; }
};

// Starts copying Rows rows of Columns elements, at most 64, into a panel; rows from `valid` on become zeros. Threads
// threads call it, `thread` from 0.
template <int Columns, int Rows, int Threads>
__device__ __forceinline__ void start_panel(bf16* panel, const bf16* rows, int row_stride, int valid, int thread) {
  // A thread's rows have the same permutation, and its chunk is the same in all of them.
  constexpr int kChunks = Columns / 8, kRowsAtOnce = Threads / kChunks;
  static_assert(Threads % kChunks == 0 && kRowsAtOnce % 8 == 0);
  const int row = thread / kChunks, chunk = thread % kChunks;
  bf16* const to = Tile<64>::chunk(panel, unsigned(row), unsigned(chunk));
  int from = row * row_stride + chunk * 8;
  const int left = valid - row;
#pragma unroll
  for (int i = 0; i < Rows; i += kRowsAtOnce, from += kRowsAtOnce * row_stride)
    if (Rows % kRowsAtOnce == 0 || row + i < Rows) cp_async_16(to + i * 64, rows + from, i < left);
}
// The same for rows of D elements, into panels.
template <int D, int Rows, int Threads>
__device__ __forceinline__ void start_panels(bf16* tile, const bf16* rows, int row_stride, int valid, int thread) {
#pragma unroll
  for (int panel = 0; panel < D / 64; ++panel)
    start_panel<64, Rows, Threads>(tile + panel * Rows * 64, rows + panel * 64, row_stride, valid, thread);
  if constexpr (D % 64 != 0)
    start_panel<D % 64, Rows, Threads>(tile + D / 64 * Rows * 64, rows + D / 64 * 64, row_stride, valid, thread);
}

// This warp's 16 rows of a tile of 64, as A operands.
template <int D>
__device__ __forceinline__ void load_rows(uint32_t (&a)[D / 16][4], bf16* tile) {
  const unsigned lane = threadIdx.x % 32, warp = threadIdx.x / 32 % 4;
#pragma unroll
  for (int k = 0; k < D / 16; ++k)
    ldmatrix_x4(a[k], Panels<D, kGroupRows>::chunk(tile, warp * 16 + lane % 16, unsigned(k) * 2 + lane / 16));
}

// The sums and operands of products that run stay where they are: no instruction on them moves past this.
template <int Tiles>
__device__ __forceinline__ void pin(float (&x)[1][Tiles][4]) {
#if !NEXTPATCH_SIMT
#pragma unroll
  for (int tile = 0; tile < Tiles; ++tile)
#pragma unroll
    for (int i = 0; i < 4; ++i) asm volatile("" : "+f"(x[0][tile][i])::"memory");
#endif
}

#if NEXTPATCH_WGMMA

// One product, whose sum is over 16 columns of both or, _by_rows, over 16 rows of b.
template <int Tiles, typename A>
__device__ __forceinline__ void start_step(float (&x)[Tiles][4], const A& a, MatrixDescriptor b, bool add) {
  if constexpr (Tiles == 8)
    wgmma_m64n64k16_bf16(x, a, b, add);
  else
    wgmma_m64n128k16_bf16(x, a, b, add);
}
template <int Tiles>
__device__ __forceinline__ void start_step_by_rows(float (&x)[Tiles][4], const uint32_t (&a)[4], MatrixDescriptor b) {
  if constexpr (Tiles == 2)
    wgmma_m64n16k16_bf16_by_rows(x, a, b, true);
  else if constexpr (Tiles == 4)
    wgmma_m64n32k16_bf16_by_rows(x, a, b, true);
  else if constexpr (Tiles == 8)
    wgmma_m64n64k16_bf16_by_rows(x, a, b, true);
  else
    wgmma_m64n128k16_bf16_by_rows(x, a, b, true);
}

// Starts x[64, columns] = a[64, D] b[columns, D]^T, plus x if `add`. a: a tile of 64 rows.
template <int D, int Tiles>
__device__ __forceinline__ void start_product_of_rows(float (&x)[1][Tiles][4], const bf16* a, const bf16* b,
                                                      bool add = false) {
  const MatrixDescriptor left = Panels<D, kGroupRows>::descriptor(a), right = Panels<D, Tiles * 8>::descriptor(b);
#pragma unroll
  for (int k = 0; k < D / 16; ++k)
    start_step(x[0], left + Panels<D, kGroupRows>::columns_from(k), right + Panels<D, Tiles * 8>::columns_from(k),
               add || k > 0);
}
// The same, with a in registers.
template <int D, int Tiles>
__device__ __forceinline__ void start_product_of_rows(float (&x)[1][Tiles][4], const uint32_t (&a)[D / 16][4],
                                                      const bf16* b, bool add = false) {
  const MatrixDescriptor right = Panels<D, Tiles * 8>::descriptor(b);
#pragma unroll
  for (int k = 0; k < D / 16; ++k) start_step(x[0], a[k], right + Panels<D, Tiles * 8>::columns_from(k), add || k > 0);
}

// Starts x[64, D] += p[64, columns] b[columns, D]. A panel that is not full has a product of its own.
template <int D, int Columns>
__device__ __forceinline__ void start_product(float (&x)[1][D / 8][4], const uint32_t (&p)[Columns / 16][4],
                                              const bf16* b) {
  constexpr int kFull = D / 64 * 8, kRest = D / 8 - kFull;
  const MatrixDescriptor right = Panels<D, Columns>::descriptor(b);
#pragma unroll
  for (int k = 0; k < Columns / 16; ++k) {
    const MatrixDescriptor rows = right + Panels<D, Columns>::rows_from(k);
    start_step_by_rows(reinterpret_cast<float (&)[kFull][4]>(x[0][0]), p[k], rows);
    if constexpr (kRest > 0)
      start_step_by_rows(reinterpret_cast<float (&)[kRest][4]>(x[0][kFull]), p[k],
                         rows + D / 64 * Panels<D, Columns>::kPanelBytes);
  }
}

#endif

// Rounds sums to bf16, as the A operand of the next product.
template <int Tiles>
__device__ __forceinline__ void pack_rows(uint32_t (&a)[Tiles / 2][4], const float (&x)[1][Tiles][4]) {
#pragma unroll
  for (int k = 0; k < Tiles / 2; ++k)
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      const float (&pair)[4] = x[0][2 * k + i / 2];
      a[k][i] = pack_bf16(pair[i % 2 * 2], pair[i % 2 * 2 + 1]);
    }
}

}  // namespace nextpatch::cuda
