// Next-patch cross-entropy: one distribution against K labels; the gradient overwrites the logits. Each row is read
// twice, for the log-sum-exp and for the gradient, the second time from the cache.
#include <algorithm>
#include <cfloat>
#include <cmath>
#include <vector>

#include "cpu_kernels.h"
#include "ids.h"
#include "labels.h"
#include "lanes.h"
#include "parallel.h"
#include "vec_math.h"

namespace nextpatch::cpu {
namespace {

// The running maximum is checked once per this many vectors, as rescaling the sum costs an exponential.
constexpr int kGroupVecs = 16;
constexpr int64_t kGroup = kGroupVecs * kLanes;

// The log of a sum of exponentials is largest + log_sum. They are kept separate because with logits in the thousands
// the sum of both would round away the digits of log_sum.
struct LogSumExp {
  float largest;
  float log_sum;
};

template <typename T>
LogSumExp log_sum_exp(const T* logits, int64_t size) {
  // Finite, so that a logit of -inf gives exp(-inf) = 0, not NaN.
  float largest = -FLT_MAX;
  Vec sum = {};
  for (int64_t begin = 0; begin < size; begin += kGroup) {
    const int64_t count = std::min(kGroup, size - begin);
    const T* group = logits + begin;
    Vec group_max = splat(largest);
    for_lanes(count, [&](int64_t i, auto lanes) { group_max = max(group_max, load(group + i, lanes, -INFINITY)); });
    const float group_largest = reduce_max(group_max);
    if (group_largest > largest) {
      sum *= std::exp(largest - group_largest);
      largest = group_largest;
    }
    sum += sum_lanes(count, [=](int64_t i, auto lanes) { return exp(load(group + i, lanes, -INFINITY) - largest); });
  }
  return {largest, std::log(reduce_add(sum))};
}

struct Labels {
  const int32_t* ids;         // [count], of one row
  const float* coefficients;  // [count]
  int64_t count;
  int64_t vocabulary;

  bool used(int64_t j) const { return in_vocabulary(ids[j], vocabulary); }

  // The sum of the coefficients of all labels equal to the j-th; 0 unless it is the first of them.
  float weight_once(int64_t j) const {
    for (int64_t i = 0; i < j; ++i)
      if (ids[i] == ids[j]) return 0;
    float weight = coefficients[j];
    for (int64_t i = j + 1; i < count; ++i)
      if (ids[i] == ids[j]) weight += coefficients[i];
    return weight;
  }
};

// `kept` [count]: saves the logits at the labels, which the gradient overwrites.
template <typename T>
float row_loss(T* logits, const Labels& labels, float* kept, bool gradient) {
  float total = 0;
  bool any = false;
  for (int64_t j = 0; j < labels.count; ++j) {
    if (!labels.used(j)) continue;
    any = true;
    kept[j] = to_float(logits[labels.ids[j]]);
    total += labels.coefficients[j];
  }
  if (!any) {
    if (gradient) std::memset(logits, 0, size_t(labels.vocabulary) * sizeof *logits);
    return 0;
  }
  const auto [largest, log_sum] = log_sum_exp(logits, labels.vocabulary);
  float loss = 0;
  for (int64_t j = 0; j < labels.count; ++j)
    if (labels.used(j)) loss += labels.coefficients[j] * ((largest - kept[j]) + log_sum);
  if (!gradient) return loss;
  for_lanes(labels.vocabulary, [=, largest = largest, log_sum = log_sum](int64_t i, auto lanes) {
    store(logits + i, exp((load(logits + i, lanes) - largest) - log_sum) * total, lanes);
  });
  // Computed from the logit, not from the rounded softmax, so that the difference of two close values is rounded once.
  for (int64_t j = 0; j < labels.count; ++j) {
    if (!labels.used(j)) continue;
    const float weight = labels.weight_once(j);
    if (weight == 0) continue;
    const float probability = std::exp((kept[j] - largest) - log_sum);
    store(logits + labels.ids[j], splat(probability * total - weight), 1);
  }
  return loss;
}

template <typename T>
void all_rows(const View& losses, const View& logits, const View& labels, const View& coefficients, bool gradient,
              BadIds& bad) {
  const int64_t rows = logits.rows(), vocabulary = logits.cols(), size = labels.cols();
#pragma omp parallel if (rows * vocabulary >= kParallelElements)
  {
    // One per thread, reused, so that a step allocates no memory.
    static thread_local std::vector<float> kept;
    if (int64_t(kept.size()) < size) kept.resize(size_t(size));
#pragma omp for schedule(static)
    for (int64_t row = 0; row < rows; ++row) {
      const Labels of_row{labels.as<int32_t>() + row * size, coefficients.as<float>(), size, vocabulary};
      for (int64_t j = 0; j < size; ++j)
        if (!of_row.used(j) && of_row.ids[j] != kIgnoredLabel) bad.found(row * size + j);
      losses.as<float>()[row] = row_loss(logits.as<T>() + row * vocabulary, of_row, kept.data(), gradient);
    }
  }
}

}  // namespace

void CpuKernels::cross_entropy(const View& losses, const View& logits, const View& labels, const View& coefficients,
                               bool gradient) {
  BadIds bad;
  with_type(logits.dtype,
            [&](auto type) { all_rows<decltype(type)>(losses, logits, labels, coefficients, gradient, bad); });
  bad.report("label", labels.as<int32_t>(), logits.cols());
}

}  // namespace nextpatch::cpu
