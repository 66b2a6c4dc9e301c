// Times matrix products of a cpu backend library, for comparing versions of oneDNN in libraries that differ in nothing
// else: c (+)= op(a) op(b), each for at least 30 ms. The fastest run counts: others were disturbed.
// On one thread, in seconds of its processor time, so that what else the machine does disturbs little.
//
//   products LIBRARY DTYPE M,N,K,transposeA,transposeB,accumulate...   prints the seconds, one line a product
#include <dlfcn.h>
#include <time.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <vector>

#include "../../native/core/backend.h"

using namespace nextpatch;

namespace {

constexpr double kSeconds = 0.03;
constexpr int kLeast = 2;

struct Matrix {
  std::vector<uint8_t> bytes;
  View view;

  Matrix(int64_t rows, int64_t cols, DType dtype) : bytes(size_t(rows * cols) * size_of(dtype) + 64) {
    void* data = bytes.data();
    size_t room = bytes.size();
    view.data = std::align(64, room - 64, data, room);
    view.dtype = dtype;
    view.rank = 2;
    view.shape = {rows, cols};
    view.stride = {cols, 1};
    uint32_t state = 1;  // values of a size that no product over- or underflows with
    for (int64_t i = 0; i < rows * cols; ++i) {
      state = state * 1664525u + 1013904223u;
      const float value = float(state >> 8) / float(1 << 24) - 0.5f;
      uint32_t bits;
      std::memcpy(&bits, &value, sizeof bits);
      if (dtype == DType::bf16) {
        view.as<uint16_t>()[i] = uint16_t(bits >> 16);
      } else {
        view.as<float>()[i] = value;
      }
    }
  }
};

double now() {
  timespec time;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return double(time.tv_sec) + 1e-9 * double(time.tv_nsec);
}

}  // namespace

int main(int count, char** arguments) {
  if (count < 4) return std::fprintf(stderr, "usage: products LIBRARY DTYPE M,N,K,tA,tB,accumulate...\n"), 2;
  void* library = dlopen(arguments[1], RTLD_NOW);
  if (!library) return std::fprintf(stderr, "%s\n", dlerror()), 1;
  auto* backend = reinterpret_cast<Backend* (*)()>(dlsym(library, "nextpatch_backend"))();
  const auto context = backend->open(0, 1);
  context->enter();
  const DType in = std::strcmp(arguments[2], "bf16") == 0 ? DType::bf16 : DType::f32;
  for (int i = 3; i < count; ++i) {
    long m, n, k;
    int transpose_a, transpose_b, accumulate;
    if (std::sscanf(arguments[i], "%ld,%ld,%ld,%d,%d,%d", &m, &n, &k, &transpose_a, &transpose_b, &accumulate) != 6)
      return std::fprintf(stderr, "not a product: %s\n", arguments[i]), 2;
    // As in training: gradients of weights are summed in f32.
    Matrix a(transpose_a ? k : m, transpose_a ? m : k, in), b(transpose_b ? n : k, transpose_b ? k : n, in);
    Matrix c(m, n, accumulate ? DType::f32 : in);
    double best = 1e9;
    const double end = now() + kSeconds;
    for (int run = 0; run < kLeast || now() < end; ++run) {
      const double begin = now();
      context->kernels().matmul(c.view, a.view, b.view, transpose_a, transpose_b, accumulate);
      best = std::min(best, now() - begin);
    }
    std::printf("%.9f\n", best);
  }
}
