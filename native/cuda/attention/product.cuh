// A warp's products on tensor cores, with its accumulators in registers. x[slab][n][...] is rows 16 slab to
// 16 slab + 15, columns 8 n to 8 n + 7, as mma_m16n8k16_bf16 lays them out: element i of lane l is row
// l / 4 + 8 (i / 2), column 2 (l % 4) + i % 2.
#pragma once

#include "../ptx.cuh"
#include "shared_tile.cuh"

namespace nextpatch::cuda {

// By way of a class: nvcc 12.4 fails on the array itself in a lambda of a template.
template <int Slabs, int Columns>
struct AccumulatorType {
  using Type = float[Slabs][Columns / 8][4];
};
template <int Slabs, int Columns>
using Accumulator = typename AccumulatorType<Slabs, Columns>::Type;

template <int Slabs, int Tiles>
__device__ __forceinline__ void clear(float (&x)[Slabs][Tiles][4]) {
#pragma unroll
  for (int slab = 0; slab < Slabs; ++slab)
#pragma unroll
    for (int tile = 0; tile < Tiles; ++tile)
#pragma unroll
      for (int i = 0; i < 4; ++i) x[slab][tile][i] = 0;
}

// Calls f(x[slab][tile][i], slab, i / 2, column) on every element this lane holds. The element's row is
// slab * 16 + (i / 2) * 8 + lane / 4, its column is `column` + 2 (lane % 4).
template <int Slabs, int Tiles, typename F>
__device__ __forceinline__ void each_element(float (&x)[Slabs][Tiles][4], const F& f) {
#pragma unroll
  for (int slab = 0; slab < Slabs; ++slab)
#pragma unroll
    for (int tile = 0; tile < Tiles; ++tile)
#pragma unroll
      for (int i = 0; i < 4; ++i) f(x[slab][tile][i], slab, i / 2, tile * 8 + i % 2);
}

// Calls f(x[slab][tile], i), i counting them from 0: what this lane holds of each product's result.
template <int Slabs, int Tiles, typename F>
__device__ __forceinline__ void each_quad(float (&x)[Slabs][Tiles][4], const F& f) {
#pragma unroll
  for (int slab = 0; slab < Slabs; ++slab)
#pragma unroll
    for (int tile = 0; tile < Tiles; ++tile) f(x[slab][tile], slab * Tiles + tile);
}

// x *= y, element by element.
template <int Slabs, int Tiles>
__device__ __forceinline__ void multiply(float (&x)[Slabs][Tiles][4], const float (&y)[Slabs][Tiles][4]) {
#pragma unroll
  for (int slab = 0; slab < Slabs; ++slab)
#pragma unroll
    for (int tile = 0; tile < Tiles; ++tile)
#pragma unroll
      for (int i = 0; i < 4; ++i) x[slab][tile][i] *= y[slab][tile][i];
}

// x[rows, columns] += a[rows, D] b[columns, D]^T, both tiles in shared memory.
template <int D, int Slabs, int Tiles>
__device__ __forceinline__ void add_product_of_rows(float (&x)[Slabs][Tiles][4], const Fragments<D>& a,
                                                    const Fragments<D>& b) {
#pragma unroll
  for (int k = 0; k < D / 16; ++k) {
    uint32_t left[Slabs][4];
#pragma unroll
    for (int slab = 0; slab < Slabs; ++slab) ldmatrix_x4(left[slab], a.at(slab, k));
#pragma unroll
    for (int n = 0; n < Tiles / 2; ++n) {
      uint32_t right[4];
      ldmatrix_x4(right, b.at(n, k));
#pragma unroll
      for (int slab = 0; slab < Slabs; ++slab) {
        mma_m16n8k16_bf16(x[slab][2 * n], left[slab], {right[0], right[1]});
        mma_m16n8k16_bf16(x[slab][2 * n + 1], left[slab], {right[2], right[3]});
      }
    }
  }
}

// A warp's rows of a tile, as the A operands of a product over its columns.
template <int D, int Slabs>
using HeldRows = uint32_t[Slabs][D / 16][4];

template <int D, int Slabs>
__device__ __forceinline__ void read_rows(HeldRows<D, Slabs>& rows, const Fragments<D>& from) {
#pragma unroll
  for (int slab = 0; slab < Slabs; ++slab)
#pragma unroll
    for (int k = 0; k < D / 16; ++k) ldmatrix_x4(rows[slab][k], from.at(slab, k));
}

// The same with a in registers.
template <int D, int Slabs, int Tiles>
__device__ __forceinline__ void add_product_of_rows(float (&x)[Slabs][Tiles][4], const HeldRows<D, Slabs>& a,
                                                    const Fragments<D>& b) {
#pragma unroll
  for (int k = 0; k < D / 16; ++k)
#pragma unroll
    for (int n = 0; n < Tiles / 2; ++n) {
      uint32_t right[4];
      ldmatrix_x4(right, b.at(n, k));
#pragma unroll
      for (int slab = 0; slab < Slabs; ++slab) {
        mma_m16n8k16_bf16(x[slab][2 * n], a[slab][k], {right[0], right[1]});
        mma_m16n8k16_bf16(x[slab][2 * n + 1], a[slab][k], {right[2], right[3]});
      }
    }
}

// x[rows, D] += p[rows, columns] b[columns, D], p rounded to bf16, b a tile in shared memory. Two products'
// accumulators side by side are, lane for lane, the A operand of the next product.
template <int D, int Slabs, int Tiles>
__device__ __forceinline__ void add_product(float (&x)[Slabs][D / 8][4], const float (&p)[Slabs][Tiles][4],
                                            const Fragments<D>& b) {
#pragma unroll
  for (int k = 0; k < Tiles / 2; ++k) {
    uint32_t left[Slabs][4];
#pragma unroll
    for (int slab = 0; slab < Slabs; ++slab)
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        const float (&pair)[4] = p[slab][2 * k + i / 2];
        left[slab][i] = pack_bf16(pair[i % 2 * 2], pair[i % 2 * 2 + 1]);
      }
#pragma unroll
    for (int n = 0; n < D / 16; ++n) {
      uint32_t right[4];
      ldmatrix_x4_trans(right, b.at(k, n));
#pragma unroll
      for (int slab = 0; slab < Slabs; ++slab) {
        mma_m16n8k16_bf16(x[slab][2 * n], left[slab], {right[0], right[1]});
        mma_m16n8k16_bf16(x[slab][2 * n + 1], left[slab], {right[2], right[3]});
      }
    }
  }
}

}  // namespace nextpatch::cuda
