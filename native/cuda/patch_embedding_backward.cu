// The gradient of the patch embedding in its table. The occurrences of all tokens, ordered by token, are cut
// into slices of equal length, so that a token that is everywhere costs no more than as many rare ones. A warp
// sums the rows of its part of a slice and adds each token's sum to the table at once, but for the tokens it
// shares with its neighbours: those sums are joined in order, by the block within a slice and by a second
// kernel between slices. Each element of the table is added to once.
#include <algorithm>

#include "cuda_kernels.h"
#include "dispatch.h"
#include "launch.cuh"
#include "patch_embedding_order.cuh"
#include "shared.cuh"
#include "vector.cuh"

namespace nextpatch::cuda {
namespace {

constexpr const char* kOperation = "patch_embedding_backward";
constexpr int kWarps = 8;
constexpr int kThreads = kWarps * 32;
constexpr int kAhead = 8;  // rows on their way to a warp at once

// The positions ordered by token.
struct Occurrences {
  TokenKeys keys;
  const int* order;
  int size;

  // -1 outside the order.
  __device__ int token(int64_t i) const { return i < 0 || i >= size ? -1 : keys(order[i]); }
  __device__ bool in_table(int token) const { return token < keys.vocabulary; }
};

// What a warp shares with its neighbours: a token each, or -1.
struct Open {
  int head;      // begins before the warp's occurrences
  int tail;      // begins in them and goes on behind them
  bool through;  // the head goes on behind them as well
};

// to[Width] += total * scale
template <int Width>
__device__ __forceinline__ void add_to(float* to, const float (&total)[Width], float scale) {
  constexpr int kStep = Width < 4 ? Width : 4;
#pragma unroll
  for (int i = 0; i < Width; i += kStep) {
    auto sum = load<float, kStep>(to + i);
#pragma unroll
    for (int j = 0; j < kStep; ++j) sum.at[j] += total[i + j] * scale;
    store(to + i, sum);
  }
}

// One block: a slice of kWarps * rows occurrences and 32 * Width columns.
// partials[slices, 2, cols]: of each slice the sum of the token that begins before it, and of the one that
// goes on behind it.
template <typename T, int Width>
__global__ void __launch_bounds__(kThreads, 2)
patch_embedding_sum_kernel(float* dtable, float* partials, const T* dout, Occurrences occurrences, int64_t cols,
                           int patch, int rows) {
  constexpr int kColumns = 32 * Width;
  const int warp = int(threadIdx.x) / 32, lane = int(threadIdx.x) % 32;
  const int tiles = int((cols + kColumns - 1) / kColumns);
  const int64_t slice = blockIdx.x / tiles, first_col = int64_t(blockIdx.x % tiles) * kColumns;
  const float scale = 1.0f / float(patch);
  float* const heads = shared_memory<float>();  // [kWarps, kColumns]
  float* const tails = heads + kWarps * kColumns;
  Open* const opens = reinterpret_cast<Open*>(tails + kWarps * kColumns);

  const int64_t begin = (slice * kWarps + warp) * rows, end = min(begin + rows, int64_t(occurrences.size));
  const int64_t col = first_col + lane * Width;
  const bool in_cols = col < cols;
  Open open{-1, -1, false};
  if (begin < end) {
    int token = occurrences.token(begin);
    bool is_head = token == occurrences.token(begin - 1);
    float total[Width] = {};
    const auto keep = [&](float* sums) {
#pragma unroll
      for (int i = 0; i < Width; ++i) sums[warp * kColumns + lane * Width + i] = total[i];
    };
    const auto close = [&] {
      if (is_head) {
        keep(heads);
        open.head = token;
      } else if (in_cols && occurrences.in_table(token)) {
        add_to(dtable + token * cols + col, total, scale);
      }
      is_head = false;
    };
    for (int64_t batch = begin; batch < end; batch += 32) {
      const int count = int(min(int64_t(32), end - batch));
      const int position = lane < count ? occurrences.order[batch + lane] : 0;
      const int batch_token = occurrences.keys(position), batch_row = position / patch;
#pragma unroll 1
      for (int at = 0; at < count; at += kAhead) {
        Pack<T, Width> packs[kAhead];
#pragma unroll
        for (int i = 0; i < kAhead; ++i) {
          const int64_t row = __shfl_sync(kAllLanes, batch_row, at + i);
          if (in_cols && at + i < count) packs[i] = load<T, Width>(dout + row * cols + col);
        }
#pragma unroll
        for (int i = 0; i < kAhead; ++i) {
          const int next = __shfl_sync(kAllLanes, batch_token, at + i);
          if (at + i >= count) continue;
          if (next != token) {
            close();
            token = next;
#pragma unroll
            for (int j = 0; j < Width; ++j) total[j] = 0;
          }
          if (!in_cols) continue;
#pragma unroll
          for (int j = 0; j < Width; ++j) total[j] += to_float(packs[i].at[j]);
        }
      }
    }
    if (token != occurrences.token(end)) {
      close();
    } else if (is_head) {
      close();
      open.through = true;
    } else {
      keep(tails);
      open.tail = token;
    }
  }
  if (lane == 0) opens[warp] = open;
  __syncthreads();

  // One thread a column.
  const int64_t own_col = first_col + threadIdx.x;
  if (int(threadIdx.x) >= kColumns || own_col >= cols) return;
  float* const of_slice = partials + slice * 2 * cols + own_col;
  float sum = 0;
  bool began_here = false;
#pragma unroll 1
  for (int w = 0; w < kWarps; ++w) {
    const Open shared = opens[w];
    if (shared.head >= 0) {
      sum += heads[w * kColumns + threadIdx.x];
      if (!shared.through && !began_here) of_slice[0] = sum;
      if (!shared.through && began_here && occurrences.in_table(shared.head))
        dtable[shared.head * cols + own_col] += sum * scale;
    }
    if (shared.tail >= 0) {
      sum = tails[w * kColumns + threadIdx.x];
      began_here = true;
    }
  }
  if (opens[kWarps - 1].through || opens[kWarps - 1].tail >= 0) of_slice[began_here ? cols : 0] = sum;
}

// One block: the token that begins in a slice and goes on behind it, one thread a column.
__global__ void __launch_bounds__(kThreads)
patch_embedding_join_kernel(float* dtable, const float* partials, Occurrences occurrences, int64_t cols, int patch,
                            int64_t slice_size, int slices) {
  const int tiles = int((cols + kThreads - 1) / kThreads);
  const int slice = int(blockIdx.x) / tiles;
  const int64_t col = int64_t(int(blockIdx.x) % tiles) * kThreads + threadIdx.x;
  const int64_t begin = slice * slice_size, end = begin + slice_size;
  const int token = occurrences.token(end);
  if (occurrences.token(end - 1) != token || occurrences.token(begin - 1) == token) return;
  if (col >= cols || !occurrences.in_table(token)) return;
  // Of the slices behind, those that begin with the token.
  int last = slice + 1, beyond = slices;
  while (beyond - last > 1) {
    const int middle = (last + beyond) / 2;
    if (occurrences.token(middle * slice_size) == token) {
      last = middle;
    } else {
      beyond = middle;
    }
  }
  const int64_t stride = 2 * cols;
  float sum = partials[slice * stride + cols + col];
#pragma unroll 8
  for (int64_t i = slice + 1; i <= last; ++i) sum += partials[i * stride + col];
  dtable[token * cols + col] += sum * (1.0f / float(patch));
}

// Occurrences of a warp: in proportion to the columns, so that there are at most 4 partial sums a token,
// however wide the table: a slice of 256 occurrences to 256 columns leaves two rows of them.
constexpr int64_t kPartialsPerToken = 4;
int64_t rows_for(int64_t cols) { return 32 * ((cols + kThreads - 1) / kThreads); }

template <typename T, int Width>
void backward(const Device& device, const View& dtable, const View& dout, const Occurrences& occurrences,
              float* partials) {
  const int64_t cols = dout.cols(), rows = rows_for(cols), slice_size = rows * kWarps;
  const int64_t slices = (occurrences.size + slice_size - 1) / slice_size, patch = occurrences.size / dout.rows();
  const size_t shared_bytes = 2 * kThreads * Width * sizeof(float) + kWarps * sizeof(Open);
  launch<patch_embedding_sum_kernel<T, Width>>(
      kOperation, {unsigned(slices * blocks_for(cols, 32 * Width)), kThreads, shared_bytes, device.stream},
      dtable.as<float>(), partials, dout.as<T>(), occurrences, cols, patch, rows);
  launch<patch_embedding_join_kernel>(
      kOperation, {unsigned((slices - 1) * blocks_for(cols, kThreads)), kThreads, 0, device.stream},
      dtable.as<float>(), partials, occurrences, cols, patch, slice_size, slices);
}

}  // namespace

void CudaKernels::patch_embedding_backward(const View& dtable, const View& dout, const View& tokens,
                                           const View& workspace) {
  const int64_t size = tokens.size(), vocabulary = dtable.rows();
  if (size == 0 || dtable.size() == 0) return;
  const OrderPlan plan(size, vocabulary);
  const TokenKeys keys{tokens.as<int>(), int(vocabulary)};
  int* const order = workspace.as<int>();
  // What ordering needs is free again when the partial sums are written.
  int* const rest = order + size;
  order_by_token(kOperation, plan, keys, int(size), order, rest, rest + size, device_.bad_id, device_.stream);
  const Occurrences occurrences{keys, order, int(size)};
  float* const partials = reinterpret_cast<float*>(rest);
  with_type(dout.dtype, [&](auto type) {
    using T = decltype(type);
    if (dout.cols() % kWidth<T> == 0 && aligned_16(dtable.as<float>(), dout.as<T>())) {
      backward<T, kWidth<T>>(device_, dtable, dout, occurrences, partials);
    } else {
      backward<T, 1>(device_, dtable, dout, occurrences, partials);
    }
  });
}

int64_t CudaKernels::patch_embedding_backward_workspace(int64_t tokens, int64_t vocabulary) const {
  return tokens + std::max(kPartialsPerToken * tokens, tokens + OrderPlan(tokens, vocabulary).scratch());
}

}  // namespace nextpatch::cuda
