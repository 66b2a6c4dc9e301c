// Causal attention, forward: FlashAttention's tiling (Dao, arXiv 2307.08691), transposed. Scores are kept with keys
// as rows and queries along the vector lanes, so that each query's running maximum and sum is one lane and no
// reduction within a vector is needed.
#include "attention_tile.h"
#include "cpu_kernels.h"

namespace nextpatch::cpu {
namespace attention {
namespace {

// A thread processes kBlockTiles query tiles of one head at a time, so that a tile of keys and values is packed
// once for that many products.
constexpr int kBlockTiles = 4;

// The state of a tile of queries while it passes over the keys.
template <typename Word>
struct QueryTile {
  Word q[kTile * kMaxHeadDim / kPerWord<Word>];  // columns
  float out[kMaxHeadDim * kTile];                // [D][kTile]: sum of exp2(score - max) * v
  float max[kTile];                              // of the scores so far, in units of log2
  float sum[kTile];                              // of exp2(score - max)
};

template <typename Word>
struct Scratch {
  alignas(64) QueryTile<Word> tiles[kBlockTiles];
  Word rows[kTile * kMaxHeadDim / kPerWord<Word>];
  Word k[kTile * kMaxHeadDim / kPerWord<Word>];  // rows
  Word v[kMaxHeadDim * kTile / kPerWord<Word>];  // transposed
  float scores[kTile * kTile];                   // [key][query]
  Word p[kTile * kTile / kPerWord<Word>];        // exp2(score - max), row groups along the keys
  float rescale[kTile];                          // exp2(old max - new max)
};

// scores[j][i] = -inf if query i does not see key j.
void mask_scores(float* scores, int keys, int queries, const Mask& mask) {
  Reg lane;
  for (int i = 0; i < kRegLanes; ++i) lane[i] = i;
  for (int j = 0; j < keys; ++j) {
    const int first = mask.first_query(j, queries), end = mask.end_query(j, queries);
    for (int i = 0; i < first; i += kRegLanes) {
      float* const s = scores + j * kTile + i;
      reg_store(s, lane + float(i) < float(first) ? reg_splat(-INFINITY) : reg_load(s));
    }
    for (int i = round_down(end, kRegLanes); i < queries; i += kRegLanes) {
      float* const s = scores + j * kTile + i;
      reg_store(s, lane + float(i) < float(end) ? reg_load(s) : reg_splat(-INFINITY));
    }
  }
}

// p = exp2(scale * score - max), where the maximum is updated with these keys; updates the sum too.
template <typename Word>
void softmax_step(Scratch<Word>& s, QueryTile<Word>& tile, int keys, int queries, float scale) {
  for (int i = 0; i < queries; i += kRegLanes) {
    const Reg old_max = reg_load(tile.max + i);
    Reg even_max = old_max, odd_max = old_max;
    for (int j = 0; j < keys; j += 2) {
      even_max = reg_max(even_max, reg_load(s.scores + j * kTile + i) * scale);
      odd_max = reg_max(odd_max, reg_load(s.scores + (j + 1) * kTile + i) * scale);
    }
    const Reg new_max = reg_max(even_max, odd_max);
    // Finite, so that a query that sees no key gets exponentials of 0, not inf - inf.
    const Reg shift = reg_max(reg_splat(-3e38f), new_max);
    Reg even_sum{}, odd_sum{};
    for (int j = 0; j < keys; j += 2) {
      const Reg even = exp2(reg_load(s.scores + j * kTile + i) * scale - shift);
      const Reg odd = exp2(reg_load(s.scores + (j + 1) * kTile + i) * scale - shift);
      even_sum += even;
      odd_sum += odd;
      store_group(s.p + j / kPerWord<Word> * kTile + i, kTile, even, odd);
    }
    const Reg rescale = exp2(old_max - shift);
    reg_store(s.rescale + i, rescale);
    reg_store(tile.sum + i, reg_load(tile.sum + i) * rescale + (even_sum + odd_sum));
    reg_store(tile.max + i, new_max);
  }
}

// Processes one tile of keys for one tile of queries.
template <typename Word>
void attend(Scratch<Word>& s, QueryTile<Word>& tile, int keys, int queries, int dim, const Mask& mask, float scale) {
  keys = round_up(keys, kRowBlock);
  const bool masked = mask.hides(queries, keys);
  queries = round_up(queries, kRegLanes);
  const int words = dim / kPerWord<Word>;

  const Product<Word> qk{s.scores, kTile, s.k, words, tile.q, kTile, words};
  for (int j = 0; j < keys; j += kRowBlock) {
    const int first = mask.first_query(j, queries), end = mask.end_query(j + kRowBlock - 1, queries);
    multiply_in_parts(qk, j, kRowBlock, round_down(first, kRegLanes), round_up(end, kRegLanes));
  }
  if (masked) mask_scores(s.scores, keys, queries, mask);
  softmax_step(s, tile, keys, queries, scale);

  // Under the mask, each half of the queries sees fewer keys.
  const int step = masked ? kTile / 2 : kTile;
  for (int i = 0; i < queries; i += step) {
    const int end = std::min(i + step, queries);
    const int first = round_down(mask.first_key(i, keys), 2), seen = round_up(mask.end_key(end - 1, keys), 2);
    const int group = first / kPerWord<Word>, groups = (seen - first) / kPerWord<Word>;
    const Product<Word> pv{tile.out, kTile,  s.v + group, kTile / kPerWord<Word>, s.p + group * kTile,
                           kTile,    groups, s.rescale};
    multiply<Onto::rescaled>(pv, 0, dim, i, end);
  }
}

// The queries [begin, end) of one head, at most kBlockTiles tiles of them.
template <typename T>
void forward_block(const Rows<T>& out, float* lse, const Rows<T>& q, const Rows<T>& k, const Rows<T>& v, int64_t begin,
                   int64_t end, int64_t offset, int64_t window, int dim, float scale) {
  using Word = typename Operand<T>::Word;
  Scratch<Word>& s = thread_scratch<Scratch<Word>>();
  const int words = dim / kPerWord<Word>, groups = kTile / kPerWord<Word>;
  const int tiles = int(divide_up(end - begin, kTile));
  const auto queries_of = [&](int t) { return int(std::min<int64_t>(kTile, end - begin - t * kTile)); };

  for (int t = 0; t < tiles; ++t) {
    QueryTile<Word>& tile = s.tiles[t];
    pack_rows(s.rows, q.at(begin + t * kTile), q.stride, queries_of(t), dim);
    transpose(tile.q, kTile, s.rows, words, kTile, words);
    std::fill_n(tile.out, dim * kTile, 0.f);
    std::fill_n(tile.max, kTile, -INFINITY);
    std::fill_n(tile.sum, kTile, 0.f);
  }

  const int64_t seen = end + offset;  // by the last query
  for (int64_t key = first_seen_tile(begin, offset, window); key < seen; key += kTile) {
    const int keys = int(std::min<int64_t>(kTile, seen - key));
    pack_rows(s.rows, v.at(key), v.stride, keys, dim);
    group_rows(s.k, s.rows, dim);  // s.k is unused until the keys are packed
    transpose(s.v, groups, s.k, dim, groups, dim);
    pack_rows(s.k, k.at(key), k.stride, keys, dim);
    prefetch_rows(k, key + kTile, seen, dim);
    prefetch_rows(v, key + kTile, seen, dim);
    for (int t = 0; t < tiles; ++t) {
      const int64_t first = begin + t * kTile;
      const int64_t visible = first + queries_of(t) + offset - key;  // keys of this tile
      if (visible <= 0 || key < first_seen_tile(first, offset, window)) continue;
      attend(s, s.tiles[t], int(std::min<int64_t>(keys, visible)), queries_of(t), dim,
             Mask{first + offset - key, window}, scale * kLog2E);
    }
  }

  for (int t = 0; t < tiles; ++t) {
    QueryTile<Word>& tile = s.tiles[t];
    const int64_t first = begin + t * kTile;
    for (int i = 0; i < queries_of(t); ++i) lse[first + i] = tile.max[i] * kLn2 + std::log(tile.sum[i]);
    for (int i = 0; i < kTile; i += kRegLanes) {
      const Reg sum = reg_load(tile.sum + i);
      const Reg inverse = sum == 0.f ? Reg{} : 1.f / sum;
      for (int d = 0; d < dim; ++d) reg_store(tile.out + d * kTile + i, reg_load(tile.out + d * kTile + i) * inverse);
    }
    write_transposed(out, first, queries_of(t), tile.out, dim, 1.f);
  }
}

template <typename T>
void forward(const View& out, const View& lse, const View& q, const View& k, const View& v, float scale, int64_t window,
             int threads) {
  const int64_t batch = q.dim(0), queries = q.dim(1), heads = q.dim(2), group = heads / k.dim(2);
  const int64_t offset = k.dim(1) - queries;
  const int64_t blocks = divide_up(queries, kBlockTiles * kTile);
  const int64_t units = batch * heads * blocks;
#pragma omp parallel for schedule(dynamic) num_threads(threads)
  for (int64_t unit = 0; unit < units; ++unit) {
    const int64_t block = blocks - 1 - unit / (batch * heads);  // the longest first
    const int64_t b = unit % (batch * heads) / heads, h = unit % heads;
    const int64_t begin = block * kBlockTiles * kTile;
    forward_block<T>({out, b, h}, lse.as<float>() + (b * heads + h) * queries, {q, b, h}, {k, b, h / group},
                     {v, b, h / group}, begin, std::min(queries, begin + kBlockTiles * kTile), offset, window,
                     int(q.dim(3)), scale);
  }
}

}  // namespace
}  // namespace attention

void CpuKernels::attention_forward(const View& out, const View& lse, const View& q, const View& k, const View& v,
                                   float scale, int64_t window) {
  window = seen_at_most(window, k.dim(1));
  if (q.dtype == DType::bf16)
    attention::forward<bf16>(out, lse, q, k, v, scale, window, threads_);
  else
    attention::forward<float>(out, lse, q, k, v, scale, window, threads_);
}

}  // namespace nextpatch::cpu
