// RMSNorm of queries and keys, per head or over all heads of a position, with the rotary embedding behind it.
#include <algorithm>
#include <cmath>

#include "../core/checked.h"
#include "cpu_kernels.h"
#include "lanes.h"
#include "parallel.h"
#include "partials.h"

namespace nextpatch::cpu {
namespace {

// Positions whose weight gradients are summed together. The blocks are fixed, so the sums do not depend on threads.
constexpr int64_t kBlockPositions = 64;

// How heads are normed: `groups` rows a position, each of `heads` heads of D elements.
struct Groups {
  int64_t groups, heads, dim;

  Groups(const View& x, const View& weight) : groups(x.dim(2)), heads(1), dim(x.dim(3)) {
    if (weight.size() > dim) std::swap(groups, heads);
  }
  int64_t columns() const { return heads * dim; }
};

// One position's heads.
template <typename T>
T* position_of(const View& x, int64_t position) {
  return x.as<T>() + position / x.dim(1) * x.stride[0] + position % x.dim(1) * x.stride[1];
}

// (cos, sin) of a position, apart, or those of no turn.
struct Turns {
  float cosine[kMaxHeadDim / 2], sine[kMaxHeadDim / 2];

  Turns(const View& table, int64_t position, int64_t half) {
    const float* from = table ? table.as<float>() + position * half * 2 : nullptr;
    for (int64_t i = 0; i < half; ++i) {
      cosine[i] = from ? from[2 * i] : 1;
      sine[i] = from ? from[2 * i + 1] : 0;
    }
  }
};

template <typename T>
void forward(const View& out, const View& rstd, const View& x, const View& weight, const View& table, int64_t offset,
             float epsilon, float weight_offset) {
  const Groups shape(x, weight);
  const int64_t half = shape.dim / 2;
  parallel_for(x.dim(0) * x.dim(1), x.dim(2) * shape.dim * 4, [&](int64_t position) {
    const Turns turns(table, position % x.dim(1) + offset, half);
    for (int64_t group = 0; group < shape.groups; ++group) {
      const T* from = position_of<T>(x, position) + group * x.stride[2];
      T* to = position_of<T>(out, position) + group * out.stride[2];
      Vec squares = {};
      for (int64_t head = 0; head < shape.heads; ++head)
        squares += sum_lanes(shape.dim, [&](int64_t i, auto lanes) {
          const Vec value = load(from + head * x.stride[2] + i, lanes);
          return value * value;
        });
      const float scale = 1.0f / std::sqrt(reduce_add(squares) / float(shape.columns()) + epsilon);
      rstd.as<float>()[position * shape.groups + group] = scale;
      for (int64_t head = 0; head < shape.heads; ++head) {
        const T* low = from + head * x.stride[2];
        const T* w = weight.as<T>() + head * shape.dim;
        T* turned = to + head * out.stride[2];
        for_lanes(half, [&](int64_t i, auto lanes) {
          const Vec a = load(low + i, lanes) * scale * (load(w + i, lanes) + weight_offset);
          const Vec b = load(low + half + i, lanes) * scale * (load(w + half + i, lanes) + weight_offset);
          const Vec c = load(turns.cosine + i, lanes), s = load(turns.sine + i, lanes);
          store(turned + i, a * c - b * s, lanes);
          store(turned + half + i, b * c + a * s, lanes);
        });
      }
    }
  });
}

template <typename T>
void backward_row(T* dx, int64_t dx_stride, float* dweight, const T* dout, int64_t dout_stride, const T* x,
                  int64_t x_stride, const T* weight, float weight_offset, float rstd, const Groups& shape) {
  Vec dot = {};
  for (int64_t head = 0; head < shape.heads; ++head)
    dot += sum_lanes(shape.dim, [&](int64_t i, auto lanes) {
      return load(dout + head * dout_stride + i, lanes) * (load(weight + head * shape.dim + i, lanes) + weight_offset) *
             load(x + head * x_stride + i, lanes);
    });
  const float shrink = reduce_add(dot) / float(shape.columns()) * rstd * rstd;
  for (int64_t head = 0; head < shape.heads; ++head) {
    float* const sums = dweight + head * shape.dim;
    for_lanes(shape.dim, [&](int64_t i, auto lanes) {
      const Vec d = load(dout + head * dout_stride + i, lanes), value = load(x + head * x_stride + i, lanes);
      const Vec w = load(weight + head * shape.dim + i, lanes) + weight_offset;
      store(dx + head * dx_stride + i, (d * w - value * shrink) * rstd, lanes);
      store(sums + i, load(sums + i, lanes) + d * value * rstd, lanes);
    });
  }
}

template <typename T>
void backward(const View& dx, const View& dout, const View& x, const View& rstd, const View& weight,
              float weight_offset, float* partial) {
  const Groups shape(x, weight);
  const int64_t positions = x.dim(0) * x.dim(1), columns = shape.columns();
  parallel_for((positions + kBlockPositions - 1) / kBlockPositions, kBlockPositions * x.dim(2) * shape.dim * 4,
               [&](int64_t block) {
                 float* const sums = partial + block * columns;
                 std::fill(sums, sums + columns, 0.0f);
                 const int64_t end = std::min(positions, (block + 1) * kBlockPositions);
                 for (int64_t position = block * kBlockPositions; position < end; ++position)
                   for (int64_t group = 0; group < shape.groups; ++group)
                     backward_row<T>(position_of<T>(dx, position) + group * dx.stride[2], dx.stride[2], sums,
                                     position_of<T>(dout, position) + group * dout.stride[2], dout.stride[2],
                                     position_of<T>(x, position) + group * x.stride[2], x.stride[2], weight.as<T>(),
                                     weight_offset, rstd.as<float>()[position * shape.groups + group], shape);
               });
}

}  // namespace

void CpuKernels::qk_norm_forward(const View& out, const View& rstd, const View& x, const View& weight,
                                 const View& table, int64_t offset, float epsilon, float weight_offset) {
  with_type(x.dtype,
            [&](auto type) { forward<decltype(type)>(out, rstd, x, weight, table, offset, epsilon, weight_offset); });
}

void CpuKernels::qk_norm_backward(const View& dx, const View& dweight, const View& dout, const View& x,
                                  const View& rstd, const View& weight, const View& workspace, float weight_offset) {
  float* const partial = workspace.as<float>();
  with_type(x.dtype, [&](auto type) { backward<decltype(type)>(dx, dout, x, rstd, weight, weight_offset, partial); });
  const int64_t positions = x.dim(0) * x.dim(1);
  add_partials(dweight.as<float>(), partial, (positions + kBlockPositions - 1) / kBlockPositions, weight.size());
}

int64_t CpuKernels::qk_norm_backward_workspace(int64_t positions, int64_t heads, int64_t head_dim) const {
  return product_of({(positions + kBlockPositions - 1) / kBlockPositions, heads, head_dim});
}

}  // namespace nextpatch::cpu
