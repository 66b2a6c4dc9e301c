// AdamW (Loshchilov and Hutter, "Decoupled Weight Decay Regularization", ICLR 2019) over all parameters in one
// pass. It is bound by memory bandwidth, so each value is read and written once.
#include <algorithm>
#include <cmath>

#include "cpu_kernels.h"
#include "lanes.h"
#include "parallel.h"

namespace nextpatch::cpu {
namespace {

// With -fno-math-errno the compiler turns this loop into one instruction.
inline Vec square_root(Vec v) {
  float x[kLanes];
  store(x, v);
  for (float& lane : x) lane = std::sqrt(lane);
  return load(x);
}

struct State {
  float* master;
  float* m;
  float* v;
  const float* grad;
};

// Updates elements [begin, end). `keep` = 1 - learning_rate * weight_decay is the factor that weight decay leaves.
// If the parameters are the master weights themselves, `param` is nullptr.
template <typename T>
void update(T* param, const State& state, int64_t begin, int64_t end, const AdamWHyper& hyper, const float* corrections,
            float clip, float keep) {
  const float step = hyper.learning_rate / corrections[0];
  const float inverse_root = 1.0f / std::sqrt(corrections[1]);
  for_lanes(end - begin, [=](int64_t offset, auto lanes) {
    const int64_t i = begin + offset;
    const Vec g = load(state.grad + i, lanes) * clip;
    const Vec m = hyper.beta1 * load(state.m + i, lanes) + (1 - hyper.beta1) * g;
    const Vec v = hyper.beta2 * load(state.v + i, lanes) + (1 - hyper.beta2) * g * g;
    const Vec change = step * m / (square_root(v) * inverse_root + hyper.epsilon);
    const Vec weight = load(state.master + i, lanes) * keep - change;
    store(state.m + i, m, lanes);
    store(state.v + i, v, lanes);
    store(state.master + i, weight, lanes);
    if (param != nullptr) store(param + i, weight, lanes);
  });
}

}  // namespace

void CpuKernels::adamw(const View& param, const View& master, const View& m, const View& v, const View& steps,
                       const View& corrections, const View& grad, const View& norm, const View& hyper,
                       int64_t decayed) {
  AdamWHyper h;
  std::memcpy(&h, hyper.data, sizeof h);
  const float gradient_norm = *norm.as<float>();
  if (!std::isfinite(gradient_norm)) return;
  const int t = ++*steps.as<int>();
  float* const correction = corrections.as<float>();
  correction[0] = float(1 - std::pow(double(h.beta1) + h.beta1_rest, t));
  correction[1] = float(1 - std::pow(double(h.beta2) + h.beta2_rest, t));
  // With a norm of 0 the quotient is infinite and the minimum is 1.
  const float clip = h.max_norm > 0 ? std::min(1.0f, h.max_norm / gradient_norm) : 1.0f;
  const float keep = 1 - h.learning_rate * h.weight_decay;
  const State state{master.as<float>(), m.as<float>(), v.as<float>(), grad.as<float>()};
  with_type(param.dtype, [&](auto type) {
    using T = decltype(type);
    T* rounded = param.data == master.data ? nullptr : param.as<T>();
    parallel_blocks(master.size(), [&](int64_t begin, int64_t end) {
      const int64_t middle = std::clamp(decayed, begin, end);
      update(rounded, state, begin, middle, h, correction, clip, keep);
      update(rounded, state, middle, end, h, correction, clip, 1.0f);
    });
  });
}

}  // namespace nextpatch::cpu
