// Patch embedding: the mean of the embeddings of a patch's tokens.
//
// Bound by memory and its latency: the ids are loaded first, then the rows they name, from all over the table.
// Therefore each thread has two rows of `out`, whose loads do not wait for each other: with 5 blocks of 256 threads per
// multiprocessor, 40 KB are in flight there.
#include "bad_id.cuh"
#include "cuda_kernels.h"
#include "dispatch.h"
#include "launch.cuh"
#include "vector.cuh"

namespace nextpatch::cuda {
namespace {

constexpr int kWarps = 8;
constexpr int kThreads = kWarps * 32;
constexpr int kBlocks = 5;  // per multiprocessor, at least
constexpr int kRows = 2;    // of `out` per thread

// One warp: 32 * Width columns of kRows rows of out[rows, cols]. segments: warps per row.
template <typename T, int Width>
__global__ void __launch_bounds__(kThreads, kBlocks)
    patch_embedding_forward_kernel(T* out, const int* tokens, const T* table, int64_t rows, int64_t cols, int patch,
                                   int vocabulary, float scale, unsigned segments, BadId* bad) {
  const unsigned warp = blockIdx.x * kWarps + threadIdx.x / 32;
  const int64_t first_row = int64_t(warp / segments) * kRows;
  const int64_t col = (int64_t(warp % segments) * 32 + threadIdx.x % 32) * Width;
  if (first_row >= rows || col >= cols) return;
  float total[kRows][Width] = {};
#pragma unroll 1  // saves registers
  for (int j = 0; j < patch; ++j) {
    Word<T, Width> words[kRows];
#pragma unroll
    for (int r = 0; r < kRows; ++r) {
      words[r] = {};
      if (first_row + r >= rows) continue;
      const int64_t index = (first_row + r) * patch + j;
      const int id = tokens[index];
      if (unsigned(id) < unsigned(vocabulary)) {
        words[r] = load_word<T, Width>(table + id * cols + col);
      } else if (col == 0) {
        report_bad_id(bad, BadId::token_id, index, id, vocabulary);
      }
    }
#pragma unroll
    for (int r = 0; r < kRows; ++r) {
      const auto pack = unpacked<T, Width>(words[r]);
#pragma unroll
      for (int lane = 0; lane < Width; ++lane) total[r][lane] += to_float(pack.at[lane]);
    }
  }
  const float share = scale / float(patch);
#pragma unroll
  for (int r = 0; r < kRows; ++r) {
    if (first_row + r >= rows) break;
    Pack<T, Width> mean;
#pragma unroll
    for (int lane = 0; lane < Width; ++lane) mean.at[lane] = from_float<T>(total[r][lane] * share);
    // `out` must not displace the table in the cache: tokens repeat.
    store_streaming(out + (first_row + r) * cols + col, mean);
  }
}

template <typename T, int Width>
void forward(const Device& device, const View& out, const View& tokens, const View& table, float scale) {
  const unsigned segments = blocks_for(out.cols(), 32 * Width);
  const int64_t warps = blocks_for(out.rows(), kRows) * int64_t(segments);
  const Launch at{blocks_for(warps, kWarps), kThreads, 0, device.stream};
  launch<patch_embedding_forward_kernel<T, Width>>("patch_embedding_forward", at, out.as<T>(), tokens.as<int>(),
                                                   table.as<T>(), out.rows(), out.cols(), tokens.size() / out.rows(),
                                                   table.rows(), scale, segments, device.bad_id);
}

}  // namespace

void CudaKernels::patch_embedding_forward(const View& out, const View& tokens, const View& table, float scale) {
  if (out.size() == 0) return;
  with_type(out.dtype, [&](auto type) {
    using T = decltype(type);
    if (out.cols() % kWidth<T> == 0 && aligned_16(out.as<T>(), table.as<T>())) {
      forward<T, kWidth<T>>(device_, out, tokens, table, scale);
    } else {
      forward<T, 1>(device_, out, tokens, table, scale);
    }
  });
}

}  // namespace nextpatch::cuda
