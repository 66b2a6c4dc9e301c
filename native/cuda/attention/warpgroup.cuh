// A warpgroup's products (wgmma.cuh) for attention: tiles in panels of 64 columns, and sums in registers. Its 64 rows
// are 16 for each of its four warps, so that a warp has Accumulator<1, columns>, and what is done with one between two
// products is the same as for a warp's own products (product.cuh).
#pragma once

#include "../ptx.cuh"
#include "../vector.cuh"
#include "../wgmma.cuh"
#include "product.cuh"
#include "shared_tile.cuh"

namespace nextpatch::cuda {

constexpr int kWarpgroup = 128;  // threads
constexpr int kGroupRows = 64;   // of a product

// Rows x D in shared memory: D / 64 panels, each Rows x 64.
template <int D, int Rows>
struct Panels {
  static_assert(D % 64 == 0 && Rows % 8 == 0);
  static constexpr int kCount = D / 64;
  static constexpr int kElements = Rows * D;
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

// Starts copying Rows rows of D elements; those from `valid` on become zeros. Threads threads call it, `thread` from 0.
template <int D, int Rows, int Threads>
__device__ __forceinline__ void start_panels(bf16* tile, const bf16* rows, int row_stride, int valid, int thread) {
  constexpr int kChunks = D / 8, kRowsAtOnce = Threads / kChunks;
  static_assert(Threads % kChunks == 0 && kRowsAtOnce % 8 == 0);
  const int row = thread / kChunks, chunk = thread % kChunks;
  bf16* const to = Panels<D, Rows>::chunk(tile, unsigned(row), unsigned(chunk));
  int from = row * row_stride + chunk * 8;
  const int left = valid - row;
#pragma unroll
  for (int i = 0; i < Rows; i += kRowsAtOnce, from += kRowsAtOnce * row_stride)
    if (Rows % kRowsAtOnce == 0 || row + i < Rows) cp_async_16(to + i * 64, rows + from, i < left);
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
  if constexpr (Tiles == 8)
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

// Starts x[64, D] += p[64, columns] b[columns, D].
template <int D, int Columns>
__device__ __forceinline__ void start_product(float (&x)[1][D / 8][4], const uint32_t (&p)[Columns / 16][4],
                                              const bf16* b) {
  const MatrixDescriptor right = Panels<D, Columns>::descriptor(b);
#pragma unroll
  for (int k = 0; k < Columns / 16; ++k) start_step_by_rows(x[0], p[k], right + Panels<D, Columns>::rows_from(k));
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
