#include "gemv.h"

#include <algorithm>

#include "lanes.h"
#include "parallel.h"

namespace nextpatch::cpu {
namespace {

// Outputs per task: whole cache lines of c for any dtype.
constexpr int64_t kOutputs = 64;

inline void assign(float& to, float value) { to = value; }
inline void assign(bf16& to, float value) { to = to_bf16(value); }

template <typename Out, typename In>
void products(const View& c, const View& a, const View& b, bool accumulate) {
  const int64_t n = b.shape[0], k = b.shape[1];
  const In* x = a.as<In>();
  parallel_for((n + kOutputs - 1) / kOutputs, kOutputs * k, [&](int64_t task) {
    const int64_t end = std::min(n, (task + 1) * kOutputs);
    for (int64_t j = task * kOutputs; j < end; ++j) {
      const In* row = b.as<In>() + j * k;
      const float dot =
          reduce_add(sum_lanes(k, [=](int64_t i, auto lanes) { return load(x + i, lanes) * load(row + i, lanes); }));
      Out& to = c.as<Out>()[j];
      assign(to, accumulate ? to_float(to) + dot : dot);
    }
  });
}

}  // namespace

void gemv(const View& c, const View& a, const View& b, bool accumulate) {
  with_type(c.dtype, [&](auto out) {
    with_type(a.dtype, [&](auto in) { products<decltype(out), decltype(in)>(c, a, b, accumulate); });
  });
}

}  // namespace nextpatch::cpu
