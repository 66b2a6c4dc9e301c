// Filling with a value; copying and converting between layouts and dtypes.
#include <algorithm>

#include "cpu_kernels.h"
#include "lanes.h"
#include "parallel.h"

namespace nextpatch::cpu {
namespace {

template <typename T>
void fill_with(const View& out, T value) {
  T* p = out.as<T>();
  parallel_blocks(out.size(), [=](int64_t begin, int64_t end) { std::fill(p + begin, p + end, value); });
}

template <typename To, typename From>
void convert(To* to, const From* from, int64_t n) {
  for_lanes(n, [=](int64_t i, auto lanes) { store(to + i, load(from + i, lanes), lanes); });
}
// Uses the scalar rounding, as the processor's instruction treats subnormal numbers as zeros.
void convert(bf16* to, const float* from, int64_t n) {
  for (int64_t i = 0; i < n; ++i) to[i] = to_bf16(from[i]);
}
template <typename T>
void convert(T* to, const T* from, int64_t n) {
  std::memcpy(to, from, size_t(n) * sizeof *to);
}

// The offset of row `row` of a tensor, in elements.
int64_t row_offset(const View& view, int64_t row) {
  int64_t offset = 0;
  for (int i = view.rank - 2; i >= 0; --i) {
    offset += row % view.shape[i] * view.stride[i];
    row /= view.shape[i];
  }
  return offset;
}

template <typename To, typename From>
void copy_as(const View& out, const View& in) {
  To* to = out.as<To>();
  const From* from = in.as<From>();
  if (out.contiguous() && in.contiguous()) {
    parallel_blocks(out.size(), [=](int64_t begin, int64_t end) { convert(to + begin, from + begin, end - begin); });
    return;
  }
  const int64_t cols = out.cols();
  parallel_for(out.rows(), cols,
               [&](int64_t row) { convert(to + row_offset(out, row), from + row_offset(in, row), cols); });
}

}  // namespace

void CpuKernels::fill(const View& out, float value) {
  if (out.dtype == DType::f32) return fill_with(out, value);
  if (out.dtype == DType::bf16) return fill_with(out, to_bf16(value));
  fill_with(out, int32_t(value));
}

void CpuKernels::copy(const View& out, const View& in) {
  if (out.dtype == DType::i32) {
    copy_as<int32_t, int32_t>(out, in);
  } else {
    with_type(out.dtype, [&](auto to) {
      with_type(in.dtype, [&](auto from) { copy_as<decltype(to), decltype(from)>(out, in); });
    });
  }
}

}  // namespace nextpatch::cpu
