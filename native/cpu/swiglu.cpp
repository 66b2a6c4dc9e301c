// SwiGLU: silu(gate) * up, where gate and up are the two halves of one row.
#include "cpu_kernels.h"
#include "lanes.h"
#include "parallel.h"
#include "vec_math.h"

namespace nextpatch::cpu {
namespace {

inline Vec sigmoid(Vec x) { return 1.0f / (1.0f + exp(-x)); }

template <typename T>
void forward(const View& out, const View& gate_up) {
  const int64_t size = out.cols();
  parallel_for(out.rows(), size * 3, [&](int64_t row) {
    T* to = out.as<T>() + row * size;
    const T* gate = gate_up.as<T>() + row * 2 * size;
    const T* up = gate + size;
    for_lanes(size, [=](int64_t i, auto lanes) {
      const Vec g = load(gate + i, lanes);
      store(to + i, g * sigmoid(g) * load(up + i, lanes), lanes);
    });
  });
}

template <typename T>
void backward(const View& dgate_up, const View& dout, const View& gate_up) {
  const int64_t size = dout.cols();
  parallel_for(dout.rows(), size * 5, [&](int64_t row) {
    T* dgate = dgate_up.as<T>() + row * 2 * size;
    T* dup = dgate + size;
    const T* d = dout.as<T>() + row * size;
    const T* gate = gate_up.as<T>() + row * 2 * size;
    const T* up = gate + size;
    // Both inputs are in registers before either output is stored: dgate_up may be gate_up.
    for_lanes(size, [=](int64_t i, auto lanes) {
      const Vec g = load(gate + i, lanes), u = load(up + i, lanes), grad = load(d + i, lanes);
      const Vec s = sigmoid(g);
      store(dgate + i, grad * u * s * (1.0f + g * (1.0f - s)), lanes);
      store(dup + i, grad * g * s, lanes);
    });
  });
}

}  // namespace

void CpuKernels::swiglu_forward(const View& out, const View& gate_up) {
  with_type(out.dtype, [&](auto type) { forward<decltype(type)>(out, gate_up); });
}

void CpuKernels::swiglu_backward(const View& dgate_up, const View& dout, const View& gate_up) {
  with_type(dout.dtype, [&](auto type) { backward<decltype(type)>(dgate_up, dout, gate_up); });
}

}  // namespace nextpatch::cpu
