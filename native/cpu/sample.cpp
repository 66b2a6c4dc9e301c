// Draws the next token. Candidates are summed in the order of their ids, so the token drawn does not depend on how
// the largest logits were found.
#include <algorithm>
#include <cmath>

#include "../core/checked.h"
#include "../core/philox.h"
#include "cpu_kernels.h"
#include "lanes.h"
#include "parallel.h"
#include "vec_math.h"

namespace nextpatch::cpu {
namespace {

// One row's part of the workspace.
struct Scratch {
  float* scores;   // [V]: (logit - largest) / temperature; -inf for NaN
  float* weights;  // [V]: exp(score)
  int32_t* ids;    // [V]
};

// The id of the largest logit, the lowest if several are equal.
template <typename T>
int64_t argmax(const T* logits, int64_t size) {
  int64_t best = 0;
  float largest = -INFINITY;
  for (int64_t i = 0; i < size; ++i) {
    const float logit = to_float(logits[i]);
    if (logit > largest) {
      largest = logit;
      best = i;
    }
  }
  return best;
}

// The last of the candidates that top_k and top_p keep, in order of decreasing score, equal scores by id.
int32_t last_candidate(const Scratch& row, int64_t size, double total, const Sampling& sampling) {
  const auto less = [&](int32_t a, int32_t b) {
    return row.scores[a] != row.scores[b] ? row.scores[a] < row.scores[b] : a > b;
  };
  for (int64_t i = 0; i < size; ++i) row.ids[i] = int32_t(i);
  // Candidates are popped from a heap, as few are needed and sorting the vocabulary costs more.
  std::make_heap(row.ids, row.ids + size, less);
  const int64_t most = sampling.top_k > 0 ? std::min(sampling.top_k, size) : size;
  int32_t* const end = row.ids + size;
  // top_p is a fraction of the weight that top_k keeps.
  if (most < size) {
    total = 0;
    for (int64_t taken = 0; taken < most; ++taken) {
      std::pop_heap(row.ids, end - taken, less);
      total += row.weights[end[-1 - taken]];
    }
    if (sampling.top_p >= 1) return end[-most];
  }
  double reached = 0;
  for (int64_t taken = 0; taken < most; ++taken) {
    if (most == size) std::pop_heap(row.ids, end - taken, less);
    reached += row.weights[end[-1 - taken]];
    if (reached >= sampling.top_p * total) return end[-1 - taken];
  }
  return end[-most];
}

// The logits with the penalty of the ids that occurred. It depends on the logit alone: an id may occur twice.
template <typename T>
void penalize(float* out, const T* logits, int64_t size, const int32_t* history, int64_t length, float penalty) {
  for (int64_t i = 0; i < size; ++i) out[i] = to_float(logits[i]);
  for (int64_t i = 0; i < length; ++i) {
    const int32_t id = history[i];
    if (id < 0 || id >= size) continue;
    const float logit = to_float(logits[id]);
    out[id] = logit > 0 ? logit / penalty : logit * penalty;
  }
}

// `logits` may be row.scores.
template <typename T>
int32_t draw(const T* logits, int64_t size, const Scratch& row, const Sampling& sampling, uint32_t stream) {
  const int64_t best = argmax(logits, size);
  if (sampling.temperature == 0) return int32_t(best);
  const float largest = to_float(logits[best]);
  double total = 0;
  for_lanes(size, [&](int64_t i, auto lanes) {
    const Vec score = (load(logits + i, lanes) - largest) / sampling.temperature;
    const Vec known = score == score ? score : splat(-INFINITY);
    store(row.scores + i, known, lanes);
    store(row.weights + i, exp(known), lanes);
  });
  for (int64_t i = 0; i < size; ++i) total += row.weights[i];
  if (!(total > 0)) return int32_t(best);  // all logits are -inf or NaN

  float lowest = -INFINITY;
  int32_t last = int32_t(size - 1);
  if ((sampling.top_k > 0 && sampling.top_k < size) || sampling.top_p < 1) {
    last = last_candidate(row, size, total, sampling);
    lowest = row.scores[last];
  }
  if (const float least = sampling.least_score(); least > lowest) {
    lowest = least;
    last = int32_t(size - 1);
  }
  const auto candidate = [&](int64_t i) { return row.scores[i] > lowest || (row.scores[i] == lowest && i <= last); };
  total = 0;
  for (int64_t i = 0; i < size; ++i)
    if (candidate(i)) total += row.weights[i];
  const double target = double(philox_uniform(philox(sampling.seed, sampling.counter, stream).word[0])) * total;
  double reached = 0;
  for (int64_t i = 0; i < size; ++i) {
    if (!candidate(i)) continue;
    reached += row.weights[i];
    if (reached > target) return int32_t(i);
  }
  return int32_t(best);
}

}  // namespace

void CpuKernels::sample(const View& out, const View& logits, const View& history, const View& streams,
                        const View& workspace, const Sampling& sampling) {
  const int64_t rows = logits.rows(), vocabulary = logits.cols();
  with_type(logits.dtype, [&](auto type) {
    using T = decltype(type);
    parallel_for(rows, vocabulary * 4, [&](int64_t row) {
      float* room = workspace.as<float>() + row * 3 * vocabulary;
      const Scratch scratch{room, room + vocabulary, reinterpret_cast<int32_t*>(room + 2 * vocabulary)};
      const T* const own = logits.as<T>() + row * vocabulary;
      const uint32_t stream = uint32_t(streams ? streams.as<int32_t>()[row] : row);
      int32_t& drawn = out.as<int32_t>()[row];
      if (!history) {
        drawn = draw(own, vocabulary, scratch, sampling, stream);
        return;
      }
      const int64_t length = history.cols();
      const int32_t* const ids = history.as<int32_t>() + row * length;
      penalize(scratch.scores, own, vocabulary, ids, length, sampling.repetition_penalty);
      drawn = draw<float>(scratch.scores, vocabulary, scratch, sampling, stream);
    });
  });
}

int64_t CpuKernels::sample_workspace(int64_t rows, int64_t vocabulary) const {
  return product_of({rows, 3, vocabulary});
}

}  // namespace nextpatch::cpu
