// Computes delta and lse of every query, which the backward pass needs before its products.
#include "../block_reduce.cuh"
#include "../cuda_kernels.h"
#include "../dispatch.h"
#include "../launch.cuh"
#include "../vector.cuh"
#include "attention.h"

namespace nextpatch::cuda {
namespace {

constexpr int kThreads = 128;
constexpr int kLanes = 4;  // per row
constexpr int kRows = kThreads / kLanes;

// One block: kRows padded queries of a head. Both outputs as in RowStatistics.
template <typename T, int Width>
__global__ void __launch_bounds__(kThreads)
    attention_delta_kernel(float* lse_out, float* delta, Heads<const T> dout, Heads<const T> out, const float* lse,
                           AttentionShape shape, int padded, float lse_unit) {
  const int tiles = padded / kRows, head_index = int(blockIdx.x) / tiles;
  const int head = head_index % shape.heads, batch = head_index / shape.heads;
  const int row = int(blockIdx.x) % tiles * kRows + int(threadIdx.x) / kLanes, lane = int(threadIdx.x) % kLanes;
  const bool exists = row < shape.queries;
  float sum = 0;
  if (exists) {
    const T* const a = dout.at(batch, head, row);
    const T* const b = out.at(batch, head, row);
    for (int i = lane * Width; i < shape.head_dim; i += kLanes * Width) {
      const auto x = load<T, Width>(a + i), y = load<T, Width>(b + i);
#pragma unroll
      for (int j = 0; j < Width; ++j) sum += to_float(x.at[j]) * to_float(y.at[j]);
    }
  }
  sum += __shfl_xor_sync(kAllLanes, sum, 1);
  sum += __shfl_xor_sync(kAllLanes, sum, 2);
  if (lane != 0) return;
  const float log_sum = exists ? lse[int64_t(head_index) * shape.queries + row] : -INFINITY;
  const int64_t at = int64_t(head_index) * padded + row;
  // exp(score - inf) = 0: such a row contributes nothing, without a test in the kernels.
  lse_out[at] = log_sum == -INFINITY ? INFINITY : log_sum * lse_unit;
  delta[at] = sum;
}

template <typename T, int Width>
void attention_delta(const Device& device, const AttentionShape& shape, float* lse_out, float* delta, int padded,
                     const View& dout, const View& out, const View& lse, float lse_unit) {
  const unsigned blocks = unsigned(padded / kRows) * unsigned(shape.heads) * unsigned(shape.batch);
  const Launch at{blocks, kThreads, 0, device.stream};
  launch<attention_delta_kernel<T, Width>>("attention_backward", at, lse_out, delta, heads_of<const T>(dout),
                                           heads_of<const T>(out), lse.as<const float>(), shape, padded, lse_unit);
}

}  // namespace

RowStatistics row_statistics(const Device& device, const AttentionShape& shape, const View& dout, const View& out,
                             const View& lse, const View& workspace, float lse_unit) {
  const int64_t padded = padded_queries(shape.queries);
  float* const lse_out = workspace.as<float>();
  float* const delta = lse_out + padded * shape.heads * shape.batch;
  if (on_tensor_cores(shape.scale, dout, out)) {
    attention_delta<bf16, 8>(device, shape, lse_out, delta, int(padded), dout, out, lse, lse_unit);
  } else {
    with_type(dout.dtype, [&](auto type) {
      attention_delta<decltype(type), 1>(device, shape, lse_out, delta, int(padded), dout, out, lse, lse_unit);
    });
  }
  return {lse_out, delta, int(padded)};
}

}  // namespace nextpatch::cuda
