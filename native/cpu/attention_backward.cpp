// Causal attention, backward: the probabilities are recomputed from the scores and lse, tile by tile.
//   S = scale q k^T    P = exp(S - lse)    dv = P^T dout
//   dP = dout v^T      dS = P * (dP - delta), delta = rowsum(dout * out)
//   dq = scale dS k    dk = scale dS^T q
// A unit of work is one key head of one sequence with a share of its queries: it sums dk and dv for all
// keys, and dq for its queries, each in a fixed order. If there are too few key heads to keep the threads busy,
// the queries are split into several shares, whose dk and dv are added at the end. The split depends only on
// shapes, so the gradients have the same bits with any number of threads.
#include <omp.h>

#include "attention_tile.h"
#include "cpu_kernels.h"

namespace nextpatch::cpu {
namespace attention {
namespace {

constexpr int64_t kUnits = 32;      // enough units to distribute over threads
constexpr int64_t kShareTiles = 4;  // query tiles that justify packing the keys once

struct Shape {
  int64_t batch, queries, keys, heads, kv_heads, dim;

  int64_t group() const { return heads / kv_heads; }
  int64_t offset() const { return keys - queries; }
  int64_t query_tiles() const { return divide_up(queries, kTile); }
  int64_t key_tiles() const { return divide_up(keys, kTile); }
  int64_t shares() const {
    const int64_t most = std::max<int64_t>(1, query_tiles() * group() / kShareTiles);
    return std::min({divide_up(kUnits, batch * kv_heads), most, query_tiles()});
  }
  int64_t units() const { return batch * kv_heads * shares(); }
  // The number of floats in a tile, and in a unit's dk^T and dv^T.
  int64_t tile() const { return kTile * dim; }
  int64_t gradient() const { return 2 * key_tiles() * tile(); }
  // Words of a thread's packed keys and values: k and v as columns, k as row groups. f32 takes the most Words.
  int64_t packed() const { return 3 * key_tiles() * tile(); }
};

// The workspace: first every thread's packed keys, then the gradients of keys and values. With a single share there
// is one slot per thread, written out before the thread's next unit; else one slot per unit, kept to be added.
int64_t gradient_slots(const Shape& shape, int threads) { return shape.shares() == 1 ? threads : shape.units(); }

template <typename Word>
struct Scratch {
  static constexpr int k = kPerWord<Word>;
  alignas(64) Word rows[kTile * kMaxHeadDim / k];
  Word groups[kTile * kMaxHeadDim / k];
  Word q[kTile * kMaxHeadDim / k];                // rows
  Word dout[kTile * kMaxHeadDim / k];             // rows
  Word q_transposed[kMaxHeadDim * kTile / k];     // transposed
  Word dout_transposed[kMaxHeadDim * kTile / k];  // transposed
  float lse[kTile];                               // in units of log2
  float delta[kTile];
  float scores[kTile * kTile];      // [query][key]
  float dp[kTile * kTile];          // [query][key]
  Word p[kTile * kTile / k];        // row groups along the queries
  Word ds[kTile * kTile / k];       // row groups along the queries
  Word ds_rows[kTile * kTile / k];  // rows: [query][key/k]; unused for floats, ds is the same
  float dq[kTile * kMaxHeadDim];    // [query][D]
};

// A unit's packed keys and values, and their gradients; all tile by tile.
template <typename Word>
struct Keys {
  Word* k_columns;
  Word* v_columns;
  Word* k_groups;
  float* dk;  // [D][kTile]
  float* dv;  // [D][kTile]
};

// Stores a register of dS as rows. For floats the row groups, stored already, are the same.
inline void store_row(float*, Reg) {}
#if defined(__AVX512BF16__) && defined(__AVX512BW__)
inline void store_row(Pair* out, Reg x) { store(reinterpret_cast<bf16*>(out), (Vec)x); }
#endif

template <typename T, typename Word = typename Operand<T>::Word>
void pack_keys(Scratch<Word>& s, const Keys<Word>& keys, const Rows<T>& k, const Rows<T>& v, const Shape& shape) {
  const int dim = int(shape.dim), words = dim / kPerWord<Word>;
  for (int64_t key = 0; key < shape.keys; key += kTile) {
    const int count = int(std::min<int64_t>(kTile, shape.keys - key));
    const int64_t at = key * words;
    prefetch_rows(v, key + kTile, shape.keys, dim);
    prefetch_rows(k, key + kTile, shape.keys, dim);
    pack_rows(s.rows, v.at(key), v.stride, count, dim);
    transpose(keys.v_columns + at, kTile, s.rows, words, kTile, words);
    pack_rows(s.rows, k.at(key), k.stride, count, dim);
    transpose(keys.k_columns + at, kTile, s.rows, words, kTile, words);
    group_rows(keys.k_groups + at, s.rows, dim);
  }
}

template <typename T, typename Word = typename Operand<T>::Word>
void pack_queries(Scratch<Word>& s, const Rows<T>& q, const Rows<T>& dout, const Rows<T>& out, const float* lse,
                  int64_t first, int count, int dim) {
  constexpr int k = kPerWord<Word>;
  pack_rows(s.q, q.at(first), q.stride, count, dim);
  group_rows(s.groups, s.q, dim);
  transpose(s.q_transposed, kTile / k, s.groups, dim, kTile / k, dim);
  pack_rows(s.dout, dout.at(first), dout.stride, count, dim);
  group_rows(s.groups, s.dout, dim);
  transpose(s.dout_transposed, kTile / k, s.groups, dim, kTile / k, dim);
  for (int i = 0; i < kTile; ++i) {
    Vec delta{};
    for (int d = 0; d < dim && i < count; d += kLanes)
      delta += load(dout.at(first + i) + d) * load(out.at(first + i) + d);
    s.delta[i] = reduce_add(delta);
    // Gives probabilities of 0 in padding rows, and avoids inf - inf in rows that see no key.
    s.lse[i] = i >= count ? INFINITY : lse[first + i] == -INFINITY ? 0.f : lse[first + i] * kLog2E;
  }
}

// P and dS from scores and dP, over keys [0, keys); what is hidden gives 0, with `masked`.
template <bool masked, typename Word>
void softmax_backward(Scratch<Word>& s, int queries, int keys, const Mask& mask, float scale) {
  constexpr int k = kPerWord<Word>;
  Reg lane;
  for (int i = 0; i < kRegLanes; ++i) lane[i] = i;
  for (int i = 0; i < queries; i += 2)
    for (int j = 0; j < keys; j += kRegLanes) {
      Reg p[2], ds[2];
#pragma GCC unroll 2
      for (int odd = 0; odd < 2; ++odd) {
        const int at = (i + odd) * kTile + j;
        p[odd] = exp2(reg_load(s.scores + at) * scale - s.lse[i + odd]);
        ds[odd] = p[odd] * (reg_load(s.dp + at) - s.delta[i + odd]);
        if constexpr (masked) {
          const float first = float(mask.first_key(i + odd, keys) - j), end = float(mask.end_key(i + odd, keys) - j);
          const auto seen = (lane >= first) & (lane < end);
          p[odd] = seen ? p[odd] : Reg{};
          ds[odd] = seen ? ds[odd] : Reg{};
        }
        store_row(s.ds_rows + at / k, ds[odd]);
      }
      store_group(s.p + i / k * kTile + j, kTile, p[0], p[1]);
      store_group(s.ds + i / k * kTile + j, kTile, ds[0], ds[1]);
    }
}

// Processes one tile of keys for the tile of queries in s.
template <typename Word>
void attend(Scratch<Word>& s, const Keys<Word>& tile, int queries, int keys, int dim, const Mask& mask, float scale) {
  constexpr int k = kPerWord<Word>;
  keys = round_up(keys, kRegLanes);
  const bool masked = mask.hides(queries, keys);
  queries = round_up(queries, kRowBlock);
  const int words = dim / k;
  // At least one query of the block of rows that starts at i sees the keys [first_of(i), end_of(i)), or none does.
  const auto first_of = [&](int i) { return mask.first_key(i, keys); };
  const auto end_of = [&](int i) { return mask.end_key(i + kRowBlock - 1, keys); };

  const Product<Word> qk{s.scores, kTile, s.q, words, tile.k_columns, kTile, words};
  const Product<Word> dout_v{s.dp, kTile, s.dout, words, tile.v_columns, kTile, words};
  for (int i = 0; i < queries; i += kRowBlock) {
    const int first = round_down(first_of(i), kRegLanes), end = round_up(end_of(i), kRegLanes);
    multiply_in_parts(qk, i, kRowBlock, first, end);
    multiply_in_parts(dout_v, i, kRowBlock, first, end);
  }
  if (masked)
    softmax_backward<true>(s, queries, keys, mask, scale);
  else
    softmax_backward<false>(s, queries, keys, mask, scale);

  // Under the mask, fewer queries see each half of the keys.
  const int step = masked ? kTile / 2 : kTile;
  for (int j = 0; j < keys; j += step) {
    const int end = std::min(j + step, keys), first = round_down(mask.first_query(j, queries), 2);
    const int group = first / k, groups = (round_up(mask.end_query(end - 1, queries), 2) - first) / k;
    const Product<Word> dv{tile.dv, kTile, s.dout_transposed + group, kTile / k, s.p + group * kTile, kTile, groups};
    const Product<Word> dk{tile.dk, kTile, s.q_transposed + group, kTile / k, s.ds + group * kTile, kTile, groups};
    multiply<Onto::sum>(dv, 0, dim, j, end);
    multiply<Onto::sum>(dk, 0, dim, j, end);
  }

  const Word* const ds_rows = k == 1 ? s.ds : s.ds_rows;
  Product<Word> dq{s.dq, dim, ds_rows, kTile / k, tile.k_groups, dim, keys / k};
  if (!masked) return multiply<Onto::sum>(dq, 0, queries, 0, dim);
  for (int i = 0; i < queries; i += kRowBlock) {
    const int group = round_down(first_of(i), 2) / k;
    dq.a = ds_rows + group;
    dq.b = tile.k_groups + group * dim;
    dq.words = round_up(end_of(i), 2) / k - group;
    multiply<Onto::sum>(dq, i, kRowBlock, 0, dim);
  }
}

struct Arguments {
  const View &dq, &dk, &dv, &dout, &q, &k, &v, &out, &lse;
  float scale;
  int64_t window;
};

// Writes dk and dv of key tile `tile` from their sums.
template <typename T>
void write_keys(const Shape& shape, const Arguments& x, int64_t b, int64_t g, int64_t tile, float* dk, float* dv) {
  const int64_t key = tile * kTile;
  const int count = int(std::min<int64_t>(kTile, shape.keys - key)), dim = int(shape.dim);
  write_transposed<T>({x.dk, b, g}, key, count, dk, dim, x.scale);
  write_transposed<T>({x.dv, b, g}, key, count, dv, dim, 1.f);
}

// The queries of share `share` are every shares()-th tile, so that all shares see about the same number of keys.
template <typename T, typename Word = typename Operand<T>::Word>
void backward_unit(const Shape& shape, const Arguments& x, int64_t b, int64_t g, int64_t share, float* packed,
                   float* gradient) {
  Scratch<Word>& s = thread_scratch<Scratch<Word>>();
  const int dim = int(shape.dim), words = dim / kPerWord<Word>;
  const int64_t all = shape.key_tiles() * shape.tile();
  Word* const base = reinterpret_cast<Word*>(packed);
  const Keys<Word> keys{base, base + all, base + 2 * all, gradient, gradient + all};
  pack_keys<T>(s, keys, {x.k, b, g}, {x.v, b, g}, shape);
  std::fill_n(gradient, shape.gradient(), 0.f);

  for (int64_t h = g * shape.group(); h < (g + 1) * shape.group(); ++h) {
    const Rows<T> q(x.q, b, h), dout(x.dout, b, h), out(x.out, b, h), dq(x.dq, b, h);
    const float* const lse = x.lse.as<float>() + (b * shape.heads + h) * shape.queries;
    for (int64_t t = share; t < shape.query_tiles(); t += shape.shares()) {
      const int64_t first = t * kTile;
      const int count = int(std::min<int64_t>(kTile, shape.queries - first));
      pack_queries(s, q, dout, out, lse, first, count, dim);
      for (const Rows<T>& rows : {q, dout, out})
        prefetch_rows(rows, first + shape.shares() * kTile, shape.queries, dim);
      std::fill_n(s.dq, kTile * dim, 0.f);
      const int64_t seen = first + count + shape.offset();  // by the last query
      for (int64_t key = first_seen_tile(first, shape.offset(), x.window); key < seen; key += kTile) {
        const int64_t at = key * words;
        const Keys<Word> tile{keys.k_columns + at, keys.v_columns + at, keys.k_groups + at, keys.dk + key * dim,
                              keys.dv + key * dim};
        attend(s, tile, count, int(std::min<int64_t>(kTile, seen - key)), dim,
               Mask{first + shape.offset() - key, x.window}, x.scale * kLog2E);
      }
      for (int i = 0; i < count; ++i)
        for (int d = 0; d < dim; d += kLanes) store(dq.at(first + i) + d, load(s.dq + i * dim + d) * x.scale);
    }
  }
}

template <typename T>
void backward(const Shape& shape, const Arguments& x, float* workspace, int threads) {
  const int64_t shares = shape.shares(), all = shape.key_tiles() * shape.tile();
  float* const gradients = workspace + threads * shape.packed();
  // Units in the order (sequence, key head, share).
#pragma omp parallel for schedule(dynamic) num_threads(threads)
  for (int64_t unit = 0; unit < shape.units(); ++unit) {
    const int64_t b = unit / shares / shape.kv_heads, g = unit / shares % shape.kv_heads;
    const int64_t thread = omp_get_thread_num();
    float* const gradient = gradients + (shares == 1 ? thread : unit) * shape.gradient();
    backward_unit<T>(shape, x, b, g, unit % shares, workspace + thread * shape.packed(), gradient);
    if (shares > 1) continue;
    for (int64_t tile = 0; tile < shape.key_tiles(); ++tile) {
      float* const dk = gradient + tile * shape.tile();
      write_keys<T>(shape, x, b, g, tile, dk, dk + all);
    }
  }
  if (shares == 1) return;

#pragma omp parallel for schedule(static) num_threads(threads)
  for (int64_t i = 0; i < shape.batch * shape.kv_heads * shape.key_tiles(); ++i) {
    const int64_t head = i / shape.key_tiles(), tile = i % shape.key_tiles();
    float* const dk = gradients + head * shares * shape.gradient() + tile * shape.tile();
    for (int64_t share = 1; share < shares; ++share) {
      const float* const more = dk + share * shape.gradient();
      for (int64_t e = 0; e < shape.tile(); e += kLanes) {
        store(dk + e, load(dk + e) + load(more + e));
        store(dk + all + e, load(dk + all + e) + load(more + all + e));
      }
    }
    write_keys<T>(shape, x, head / shape.kv_heads, head % shape.kv_heads, tile, dk, dk + all);
  }
}

}  // namespace
}  // namespace attention

void CpuKernels::attention_backward(const View& dq, const View& dk, const View& dv, const View& dout, const View& q,
                                    const View& k, const View& v, const View& out, const View& lse,
                                    const View& workspace, const View& rotary_table, float scale, int64_t window) {
  const attention::Shape shape{q.dim(0), q.dim(1), k.dim(1), q.dim(2), k.dim(2), q.dim(3)};
  const attention::Arguments x{dq, dk, dv, dout, q, k, v, out, lse, scale, seen_at_most(window, k.dim(1))};
  if (q.dtype == DType::bf16)
    attention::backward<bf16>(shape, x, workspace.as<float>(), threads_);
  else
    attention::backward<float>(shape, x, workspace.as<float>(), threads_);
  if (!rotary_table.data) return;
  rotary(dq, rotary_table, k.dim(1) - q.dim(1), true);
  rotary(dk, rotary_table, 0, true);
}

int64_t CpuKernels::attention_backward_workspace(int64_t batch, int64_t queries, int64_t keys, int64_t heads,
                                                 int64_t kv_heads, int64_t head_dim) const {
  const attention::Shape shape{batch, queries, keys, heads, kv_heads, head_dim};
  return threads_ * shape.packed() + attention::gradient_slots(shape, threads_) * shape.gradient();
}

}  // namespace nextpatch::cpu
