// Causal attention, backward, on tensor cores. With P = exp(scale q k^T - lse) recomputed tile by tile,
//   dv = P^T dout    dS = P * (dout v^T - delta)    dk = scale dS^T q    dq = scale dS k
// Two kernels (dkdv.cu, dq.cu), so that each sum has one owner and one order: a block of the first keeps a tile of
// keys, loops over the queries of all heads that read it, and sums dK and dV in registers; a block of the second keeps
// a tile of queries and sums dQ. This computes the scores and dout v^T twice: 7 products instead of a single pass's 5.
// But in a single pass many blocks add to dQ: with atomics, whose order changes bits, or with blocks that wait their
// turn, which ties the order of summation to that of scheduling. The accumulators of dout v^T - delta start at -delta,
// which is free and rounds smaller numbers.
#include "../../core/checked.h"
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

// Computes delta and lse of every query. One block: kRows padded queries of a head. Both outputs as in RowStatistics.
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
  const unsigned blocks = blocks_for(int64_t(padded / kRows) * shape.heads * shape.batch, 1);
  const Launch at{blocks, kThreads, 0, device.stream};
  launch<attention_delta_kernel<T, Width>>("attention_backward", at, lse_out, delta, heads_of<const T>(dout),
                                           heads_of<const T>(out), lse.as<const float>(), shape, padded, lse_unit);
}

// Writes both arrays into the workspace. lse_unit: kLog2e for exponentials by exp2, 1 by exp.
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

}  // namespace

void CudaKernels::attention_backward(const View& dq, const View& dk, const View& dv, const View& dout, const View& q,
                                     const View& k, const View& v, const View& out, const View& lse,
                                     const View& workspace, const View& rotary_table, float scale, int64_t window) {
  const AttentionShape shape = attention_shape(q, k, scale, window);
  const auto statistics = [&](float lse_unit) {
    return row_statistics(device_, shape, dout, out, lse, workspace, lse_unit);
  };
  if (aligned_16(workspace.as<float>(), rotary_table.as<float>()) &&
      on_tensor_cores(scale, dq, dk, dv, dout, q, k, v)) {
    const RowStatistics rows = statistics(kLog2e);
    const float* const turn = rotary_table.as<const float>();
    if (device_.wgmma && has_warpgroup_sizes(shape.head_dim)) {
      attention_dkdv_wgmma(device_, shape, dk, dv, dout, q, k, v, rows, turn);
      return attention_dq_wgmma(device_, shape, dq, dout, q, k, v, rows, turn);
    }
    attention_dkdv(device_, shape, dk, dv, dout, q, k, v, rows, turn);
    return attention_dq(device_, shape, dq, dout, q, k, v, rows, turn);
  }
  plain_attention_backward(device_, shape, dq, dk, dv, dout, q, k, v, statistics(1));
  if (!rotary_table.data) return;
  rotary(dq, rotary_table, shape.offset(), true);
  rotary(dk, rotary_table, 0, true);
}

int64_t CudaKernels::attention_backward_workspace(int64_t batch, int64_t queries, int64_t, int64_t heads, int64_t,
                                                  int64_t) const {
  return product_of({2, batch, heads, padded_queries(queries)});
}

}  // namespace nextpatch::cuda
