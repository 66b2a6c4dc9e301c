// Gated linear units: silu(gate) * up (SwiGLU) and gelu(gate) * up (GeGLU), where gate and up are the two halves of one
// row.
#include "cpu_kernels.h"
#include "lanes.h"
#include "parallel.h"
#include "vec_math.h"

namespace nextpatch::cpu {
namespace {

inline Vec sigmoid(Vec x) { return 1.0f / (1.0f + exp(-x)); }

// An activation is x * sigmoid(bend(x)); slope: its derivative, from s = sigmoid(bend(x)).
struct Silu {
  static Vec bend(Vec x) { return x; }
  static Vec slope(Vec x, Vec s) { return s * (1.0f + x * (1.0f - s)); }
};
// In its tanh form: (1 + tanh(y)) / 2 is sigmoid(2y).
struct Gelu {
  static constexpr float kTwice = 1.5957691216057308f;  // 2 sqrt(2 / pi)
  static constexpr float kCube = 0.044715f;
  static constexpr float kFlat = 16.0f;  // from here on, the sigmoid is 0 or 1 in f32
  static Vec bend(Vec x) { return kTwice * (x + kCube * x * x * x); }
  static Vec slope(Vec x, Vec s) {
    x = x < -kFlat ? splat(-kFlat) : x > kFlat ? splat(kFlat) : x;  // so that x * x is finite
    return s * (1.0f + x * (1.0f - s) * kTwice * (1.0f + 3.0f * kCube * x * x));
  }
};

template <typename Activation, typename T>
void forward(const View& out, const View& gate_up) {
  const int64_t size = out.cols();
  parallel_for(out.rows(), size * 3, [&](int64_t row) {
    T* to = out.as<T>() + row * size;
    const T* gate = gate_up.as<T>() + row * 2 * size;
    const T* up = gate + size;
    for_lanes(size, [=](int64_t i, auto lanes) {
      const Vec g = load(gate + i, lanes);
      store(to + i, g * sigmoid(Activation::bend(g)) * load(up + i, lanes), lanes);
    });
  });
}

template <typename Activation, typename T>
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
      const Vec s = sigmoid(Activation::bend(g));
      store(dgate + i, grad * u * Activation::slope(g, s), lanes);
      store(dup + i, grad * g * s, lanes);
    });
  });
}

}  // namespace

void CpuKernels::swiglu_forward(const View& out, const View& gate_up) {
  with_type(out.dtype, [&](auto type) { forward<Silu, decltype(type)>(out, gate_up); });
}
void CpuKernels::swiglu_backward(const View& dgate_up, const View& dout, const View& gate_up) {
  with_type(dout.dtype, [&](auto type) { backward<Silu, decltype(type)>(dgate_up, dout, gate_up); });
}
void CpuKernels::geglu_forward(const View& out, const View& gate_up) {
  with_type(out.dtype, [&](auto type) { forward<Gelu, decltype(type)>(out, gate_up); });
}
void CpuKernels::geglu_backward(const View& dgate_up, const View& dout, const View& gate_up) {
  with_type(dout.dtype, [&](auto type) { backward<Gelu, decltype(type)>(dgate_up, dout, gate_up); });
}

}  // namespace nextpatch::cpu
