// Patch embedding: the mean of the embeddings of a patch's tokens, and the gradient of the table.
#include <algorithm>

#include "../core/checked.h"
#include "cpu_kernels.h"
#include "ids.h"
#include "lanes.h"
#include "parallel.h"

namespace nextpatch::cpu {
namespace {

template <typename T>
void forward(const View& out, const View& tokens, const View& table, float scale, BadIds& bad) {
  const int64_t rows = out.rows(), cols = out.cols(), vocabulary = table.rows();
  const int64_t patch = rows == 0 ? 0 : tokens.size() / rows;
  const float share = scale / float(patch);
  parallel_for(rows, cols * (patch + 1), [&](int64_t row) {
    const int32_t* ids = tokens.as<int32_t>() + row * patch;
    for (int64_t j = 0; j < patch; ++j)
      if (!in_vocabulary(ids[j], vocabulary)) bad.found(row * patch + j);
    T* to = out.as<T>() + row * cols;
    for_lanes(cols, [&](int64_t i, auto lanes) {
      Vec total = {};
      for (int64_t j = 0; j < patch; ++j)
        if (in_vocabulary(ids[j], vocabulary)) total += load(table.as<T>() + ids[j] * cols + i, lanes);
      store(to + i, total * share, lanes);
    });
  });
}

// The occurrences of all tokens sorted by token, then by position: a counting sort, linear in tokens and vocabulary.
struct Occurrences {
  int32_t* end;    // [vocabulary]: where a token's occurrences end in `order`
  int32_t* order;  // [count]: positions in the token array
  int64_t count;   // excludes ids outside the vocabulary

  Occurrences(int32_t* workspace, const int32_t* ids, int64_t size, int64_t vocabulary, BadIds& bad)
      : end(workspace), order(workspace + vocabulary), count(0) {
    std::fill(end, end + vocabulary, 0);
    for (int64_t i = 0; i < size; ++i) {
      if (in_vocabulary(ids[i], vocabulary)) {
        ++end[ids[i]];
      } else {
        bad.found(i);
      }
    }
    for (int64_t token = 0; token < vocabulary; ++token) {
      const int32_t occurrences = end[token];
      end[token] = int32_t(count);
      count += occurrences;
    }
    // Placing a token's occurrences moves its entry in `end` from the start to the end of its range.
    for (int64_t i = 0; i < size; ++i)
      if (in_vocabulary(ids[i], vocabulary)) order[end[ids[i]]++] = int32_t(i);
  }
};

// Columns summed together in registers in one pass over a token's occurrences.
constexpr int kColumnVecs = 8;
constexpr int64_t kColumns = kColumnVecs * kLanes;
// Occurrences per task. A token belongs to the task that contains its first occurrence.
constexpr int64_t kTaskOccurrences = 256;

template <typename T>
void add_token(float* to, const T* dout, const int32_t* first, const int32_t* last, int64_t patch, float share,
               int64_t stride, int64_t cols) {
  if (cols == kColumns) {
    Vec total[kColumnVecs] = {};
    for (const int32_t* at = first; at < last; ++at) {
      const T* row = dout + *at / patch * stride;
      for (int v = 0; v < kColumnVecs; ++v) total[v] += load(row + v * kLanes);
    }
    for (int v = 0; v < kColumnVecs; ++v) store(to + v * kLanes, load(to + v * kLanes) + total[v] * share);
    return;
  }
  for_lanes(cols, [=](int64_t i, auto lanes) {
    Vec total = {};
    for (const int32_t* at = first; at < last; ++at) total += load(dout + *at / patch * stride + i, lanes);
    store(to + i, load(to + i, lanes) + total * share, lanes);
  });
}

// Tasks are (occurrences, columns), so that even a batch of a single distinct token is distributed over threads. Each
// element of the table is written by one task, whichever thread runs it.
template <typename T>
void backward(const View& dtable, const View& dout, const int32_t* ids, int64_t patch, float scale,
              const Occurrences& occurrences) {
  const int64_t cols = dtable.cols();
  const int64_t column_tasks = (cols + kColumns - 1) / kColumns;
  const int64_t tasks = (occurrences.count + kTaskOccurrences - 1) / kTaskOccurrences * column_tasks;
#pragma omp parallel for schedule(dynamic) if (occurrences.count * cols >= kParallelElements)
  for (int64_t task = 0; task < tasks; ++task) {
    const int64_t begin = task / column_tasks * kTaskOccurrences, column = task % column_tasks * kColumns;
    const int64_t limit = std::min(begin + kTaskOccurrences, occurrences.count);
    int64_t at = begin;
    // Skip a token that began in the previous task: it belongs to that task.
    if (at > 0 && ids[occurrences.order[at]] == ids[occurrences.order[at - 1]])
      at = occurrences.end[ids[occurrences.order[at]]];
    while (at < limit) {
      const int64_t token = ids[occurrences.order[at]], end = occurrences.end[token];
      add_token(dtable.as<float>() + token * cols + column, dout.as<T>() + column, occurrences.order + at,
                occurrences.order + end, patch, scale / float(patch), cols, std::min(kColumns, cols - column));
      at = end;
    }
  }
}

}  // namespace

void CpuKernels::patch_embedding_forward(const View& out, const View& tokens, const View& table, float scale) {
  BadIds bad;
  with_type(out.dtype, [&](auto type) { forward<decltype(type)>(out, tokens, table, scale, bad); });
  bad.report("token id", tokens.as<int32_t>(), table.rows());
}

void CpuKernels::patch_embedding_backward(const View& dtable, const View& dout, const View& tokens,
                                          const View& workspace, float scale) {
  if (dout.rows() == 0) return;
  BadIds bad;
  const int32_t* ids = tokens.as<int32_t>();
  const Occurrences occurrences(workspace.as<int32_t>(), ids, tokens.size(), dtable.rows(), bad);
  const int64_t patch = tokens.size() / dout.rows();
  with_type(dout.dtype, [&](auto type) { backward<decltype(type)>(dtable, dout, ids, patch, scale, occurrences); });
  bad.report("token id", ids, dtable.rows());
}

int64_t CpuKernels::patch_embedding_backward_workspace(int64_t tokens, int64_t vocabulary) const {
  return sum_of({tokens, vocabulary});
}

}  // namespace nextpatch::cpu
