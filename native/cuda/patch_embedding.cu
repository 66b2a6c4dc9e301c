// Patch embedding: the mean of the embeddings of a patch's tokens.
#include "bad_id.cuh"
#include "cuda_kernels.h"
#include "dispatch.h"
#include "launch.cuh"
#include "vector.cuh"

namespace nextpatch::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int kAhead = 2;  // rows on their way to a thread at once
constexpr int kBlocks = 6;  // a multiprocessor at least: a patch of one token leaves a thread one load to wait for

// One thread: Width neighbouring elements of one row of out[N,C], whatever N and C are.
template <typename T, int Width>
__global__ void __launch_bounds__(kThreads, kBlocks)
patch_embedding_forward_kernel(T* out, const int* tokens, const T* table, int64_t size, int64_t cols, int64_t patch,
                               int64_t vocabulary, BadId* bad) {
  const int64_t i = (int64_t(blockIdx.x) * kThreads + threadIdx.x) * Width;
  if (i >= size) return;
  const int64_t row = i / cols, col = i - row * cols;
  const int* const ids = tokens + row * patch;
  float total[Width] = {};
  for (int64_t begin = 0; begin < patch; begin += kAhead) {
    Pack<T, Width> rows[kAhead];
#pragma unroll
    for (int j = 0; j < kAhead; ++j) {
      rows[j] = Pack<T, Width>{};
      if (begin + j >= patch) continue;
      const int id = ids[begin + j];
      if (id >= 0 && id < vocabulary) {
        rows[j] = load<T, Width>(table + id * cols + col);
      } else if (col == 0) {
        report_bad_id(bad, BadId::token_id, row * patch + begin + j, id, vocabulary);
      }
    }
#pragma unroll
    for (int j = 0; j < kAhead; ++j)
#pragma unroll
      for (int lane = 0; lane < Width; ++lane) total[lane] += to_float(rows[j].at[lane]);
  }
  const float scale = 1.0f / float(patch);
  Pack<T, Width> mean;
#pragma unroll
  for (int lane = 0; lane < Width; ++lane) mean.at[lane] = from_float<T>(total[lane] * scale);
  store(out + i, mean);
}

template <typename T, int Width>
void forward(const Device& device, const View& out, const View& tokens, const View& table) {
  const Launch at{blocks_for(out.size(), kThreads * Width), kThreads, 0, device.stream};
  launch<patch_embedding_forward_kernel<T, Width>>("patch_embedding_forward", at, out.as<T>(), tokens.as<int>(),
                                                   table.as<T>(), out.size(), out.cols(), tokens.size() / out.rows(),
                                                   table.rows(), device.bad_id);
}

}  // namespace

void CudaKernels::patch_embedding_forward(const View& out, const View& tokens, const View& table) {
  if (out.size() == 0) return;
  with_type(out.dtype, [&](auto type) {
    using T = decltype(type);
    if (out.cols() % kWidth<T> == 0 && aligned_16(out.as<T>(), table.as<T>())) {
      forward<T, kWidth<T>>(device_, out, tokens, table);
    } else {
      forward<T, 1>(device_, out, tokens, table);
    }
  });
}

}  // namespace nextpatch::cuda
