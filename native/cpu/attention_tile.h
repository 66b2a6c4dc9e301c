// The tiles of attention, and how they are packed for its products. A tile is kTile positions of one head; the
// last tile of a sequence is padded with zeros. Layouts, with D the head dimension and k the elements in a Word
// (two of bf16, one of f32):
//   rows        [kTile][D/k]   position by position; a Word is k neighbours along D
//   columns     [D/k][kTile]   the transpose of rows
//   row groups  [kTile/k][D]   a Word is k neighbouring positions
//   transposed  [D][kTile/k]   the transpose of row groups
// For floats, rows and row groups are the same, as are columns and transposed.
#pragma once

#include "../core/view.h"
#include "attention_product.h"

namespace nextpatch::cpu::attention {

constexpr int kTile = 64;
constexpr float kLog2E = 1.44269504088896341f;
constexpr float kLn2 = 0.693147180559945309f;

inline int64_t divide_up(int64_t a, int64_t b) { return (a + b - 1) / b; }
inline int round_up(int a, int b) { return (a + b - 1) / b * b; }
inline int round_down(int a, int b) { return a / b * b; }

// The calling thread's S, made once. Not inlined, as then the address would be looked up at every use.
template <typename S>
__attribute__((noinline)) S& thread_scratch() {
  static thread_local S scratch;
  return scratch;
}

// The positions of one head of one sequence: rows of D elements.
template <typename T>
struct Rows {
  T* data;
  int64_t stride;

  Rows(const View& x, int64_t sequence, int64_t head)
      : data(x.as<T>() + sequence * x.stride[0] + head * x.stride[2]), stride(x.stride[1]) {}
  T* at(int64_t position) const { return data + position * stride; }
};

// out[cols][rows] = in[rows][cols] of 32-bit elements, by squares of one register a side, in which off-diagonal
// halves, quarters, ... are swapped in turn. rows is a multiple of kRegLanes; cols is rounded up to one, so that
// with D = 80 in Pairs up to 8 more columns are read and written.
template <typename Element>
void transpose(Element* out, int64_t out_stride, const Element* in, int64_t in_stride, int rows, int cols) {
  static_assert(sizeof(Element) == 4);
  RegU lane;
  for (int i = 0; i < kRegLanes; ++i) lane[i] = i;
  for (int r = 0; r < rows; r += kRegLanes)
    for (int c = 0; c < cols; c += kRegLanes) {
      RegU x[kRegLanes];
#pragma GCC unroll 16
      for (int i = 0; i < kRegLanes; ++i) std::memcpy(&x[i], in + (r + i) * in_stride + c, sizeof x[i]);
#pragma GCC unroll 4
      for (int width = kRegLanes / 2; width > 0; width /= 2) {
        // Lane l of the upper result is lane l of a, or l - width of b; of the lower, l + width of a, or l of b.
        const RegU second = (lane & width) / width;
        const RegU upper = lane - second * width + second * kRegLanes;
        const RegU lower = upper + width;
#pragma GCC unroll 16
        for (int i = 0; i < kRegLanes; ++i) {
          if (i & width) continue;
          const RegU a = x[i], b = x[i + width];
          x[i] = __builtin_shuffle(a, b, upper);
          x[i + width] = __builtin_shuffle(a, b, lower);
        }
      }
#pragma GCC unroll 16
      for (int i = 0; i < kRegLanes; ++i) std::memcpy(out + (c + i) * out_stride + r, &x[i], sizeof x[i]);
    }
}

// What a tile of queries sees of a tile of keys: query i sees the keys j with i + offset - window < j <= i + offset.
struct Mask {
  int64_t offset;
  int64_t window;  // at most the number of all keys

  // Query i sees the keys [first_key, end_key) of the tile's.
  int first_key(int64_t i, int keys) const { return clamp(i + offset - window + 1, keys); }
  int end_key(int64_t i, int keys) const { return clamp(i + offset + 1, keys); }
  // Key j is seen by the queries [first_query, end_query) of the tile's.
  int first_query(int64_t j, int queries) const { return clamp(j - offset, queries); }
  int end_query(int64_t j, int queries) const { return clamp(j - offset + window, queries); }
  // Whether any of them is hidden.
  bool hides(int queries, int keys) const { return end_key(0, keys) < keys || first_key(queries - 1, keys) > 0; }

 private:
  static int clamp(int64_t at, int end) { return int(std::clamp<int64_t>(at, 0, end)); }
};

// Where the tiles of keys begin that query i sees, i + offset being its position.
inline int64_t first_seen_tile(int64_t i, int64_t offset, int64_t window) {
  return std::max<int64_t>(0, i + offset - window + 1) / kTile * kTile;
}

// Packs `count` positions as rows.
inline void pack_rows(float* out, const float* in, int64_t stride, int count, int dim) {
  for (int i = 0; i < count; ++i)
    for (int d = 0; d < dim; d += kLanes) std::memcpy(out + i * dim + d, in + i * stride + d, sizeof(Vec));
  std::fill(out + count * dim, out + kTile * dim, 0.f);
}
inline void pack_rows(float* out, const bf16* in, int64_t stride, int count, int dim) {
  for (int i = 0; i < count; ++i)
    for (int d = 0; d < dim; d += kLanes) store(out + i * dim + d, load(in + i * stride + d));
  std::fill(out + count * dim, out + kTile * dim, 0.f);
}
inline void pack_rows(Pair* out, const bf16* in, int64_t stride, int count, int dim) {
  for (int i = 0; i < count; ++i)
    for (int d = 0; d < dim; d += kLanes) std::memcpy(out + (i * dim + d) / 2, in + i * stride + d, sizeof(HalfVec));
  std::fill(out + count * dim / 2, out + kTile * dim / 2, Pair{0});
}

// Prefetches a tile that is packed soon: from `first` on, positions before `end`. The hardware prefetcher does not
// predict rows that are far apart.
template <typename T>
void prefetch_rows(const Rows<T>& rows, int64_t first, int64_t end, int dim) {
  for (int64_t i = first; i < std::min(first + kTile, end); ++i)
    for (int64_t byte = 0; byte < dim * int64_t(sizeof(T)); byte += 64)
      __builtin_prefetch(reinterpret_cast<const char*>(rows.at(i)) + byte);
}

// Converts rows to row groups.
inline void group_rows(float* out, const float* rows, int dim) { std::copy_n(rows, kTile * dim, out); }
inline void group_rows(Pair* out, const Pair* rows, int dim) {
  typedef uint16_t Full __attribute__((vector_size(4 * kLanes)));
  Full first, second;  // interleave the first, the second half of two rows' 2 * kLanes elements
  for (int i = 0; i < kLanes; ++i) {
    first[2 * i] = i;
    first[2 * i + 1] = 2 * kLanes + i;
  }
  second = first + uint16_t(kLanes);
  for (int i = 0; i < kTile; i += 2)
    for (int d = 0; d < dim; d += 2 * kLanes) {
      Full a, b;
      const int size = std::min(dim - d, 2 * kLanes) * int(sizeof(bf16));
      a = b = Full{};
      std::memcpy(&a, rows + (i * dim + d) / 2, size);
      std::memcpy(&b, rows + ((i + 1) * dim + d) / 2, size);
      const Full low = __builtin_shuffle(a, b, first), high = __builtin_shuffle(a, b, second);
      std::memcpy(out + i / 2 * dim + d, &low, sizeof low);
      if (size == sizeof high) std::memcpy(out + i / 2 * dim + d + kLanes, &high, sizeof high);
    }
}

// Stores two adjacent rows of values as one row of groups (bf16) or two (f32); ld Words between groups.
inline void store_group(float* out, int64_t ld, Reg even, Reg odd) {
  reg_store(out, even);
  reg_store(out + ld, odd);
}
#if defined(__AVX512BF16__) && defined(__AVX512BW__)
inline void store_group(Pair* out, int64_t, Reg even, Reg odd) {
  alignas(64) static constexpr uint16_t kInterleave[32] = {0,  16, 1,  17, 2,  18, 3,  19, 4,  20, 5,
                                                           21, 6,  22, 7,  23, 8,  24, 9,  25, 10, 26,
                                                           11, 27, 12, 28, 13, 29, 14, 30, 15, 31};
  const __m512i halves = (__m512i)_mm512_cvtne2ps_pbh((__m512)odd, (__m512)even);
  const __m512i order = _mm512_load_si512(kInterleave);
  _mm512_storeu_si512(out, _mm512_maskz_permutexvar_epi16(0xffffffffu, order, halves));
}
#endif

// out[count][D] = in[D][kTile], transposed, multiplied by `scale` and rounded to T.
template <typename T>
void write_transposed(const Rows<T>& out, int64_t position, int count, float* in, int dim, float scale) {
  alignas(64) float rows[kTile * kMaxHeadDim];
  transpose(rows, dim, in, kTile, dim, kTile);
  for (int i = 0; i < count; ++i)
    for (int d = 0; d < dim; d += kLanes) store(out.at(position + i) + d, load(rows + i * dim + d) * scale);
}

}  // namespace nextpatch::cpu::attention
