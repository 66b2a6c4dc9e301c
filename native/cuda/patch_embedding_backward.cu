// The gradient of the patch embedding with respect to its table. The occurrences of all tokens, ordered by token, are
// cut into slices of equal length, so that a frequent token costs no more than the same number of rare ones. A warp
// sums the rows of its part of a slice and adds each token's sum to the table immediately, except for the tokens it
// shares with its neighbours: those sums are combined in order, by the block within a slice and by another kernel
// between slices. Each element of the table is added to once.
//
// Most of the traffic is the table: of 8192 tokens about 7000 are different, and the f32 row of each is read and
// written, four times the bytes of dout. Waiting for a row before requesting the next would cost a memory latency per
// token, so a warp requests the rows of dout of 8 occurrences and the table's rows of the tokens that end among them,
// all at once, before it adds. The target (Little's law): 3.35 TB/s times about 0.7 us are 2.3 MB in flight, 18 KB on
// each of an H100's 132 multiprocessors. A warp's 8 occurrences of 128 columns are 8 * 256 bytes of dout in bf16 and up
// to 8 * 512 of the table, 6 KB, in at most 128 registers per thread: 16 warps on a multiprocessor request up to 96 KB,
// so enough is in flight while half of them wait for tokens or neighbours. A block is 8 warps; there are about 16
// blocks for each of 132 multiprocessors, so that the last to finish is a small part of the whole, if that leaves a
// warp at least 8 occurrences: 1024 blocks for 8192 tokens and 1024 columns.
#include <algorithm>

#include "../core/checked.h"
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
constexpr int kMostWidth = 4;  // columns per lane: 16 bytes of the table
constexpr int kMostColumns = 32 * kMostWidth;
constexpr int64_t kBlocks = 16 * 132;
constexpr int kLeastRows = 8;  // occurrences per warp, a multiple of this

// Occurrences whose rows a warp has in flight at once.
template <typename T>
constexpr int kAhead = 16 / sizeof(T);

// The positions ordered by token.
struct Occurrences {
  const int* order;   // the positions
  const int* sorted;  // their tokens
  int size, vocabulary;

  // -1 outside the order.
  __device__ int token(int64_t i) const { return i < 0 || i >= size ? -1 : sorted[i]; }
  __device__ bool in_table(int token) const { return unsigned(token) < unsigned(vocabulary); }
};

// The tokens that a warp shares with its neighbours, or -1.
struct Open {
  int head;      // starts before the warp's occurrences
  int tail;      // starts in them and continues after them
  bool through;  // the head also continues after them
};

// One block: a slice of kWarps * rows occurrences and 32 * Width columns.
// partials[slices, 2, cols]: for each slice, the sum of the token that starts before it, and of the one that continues
// after it.
template <typename T, int Width>
__global__ void __launch_bounds__(kThreads, 2)
    patch_embedding_sum_kernel(float* dtable, float* partials, const T* dout, Occurrences occurrences, int64_t cols,
                               int patch, float scale, int rows) {
  constexpr int kColumns = 32 * Width, kGroup = kAhead<T>;
  const int warp = int(threadIdx.x) / 32, lane = int(threadIdx.x) % 32;
  const int tiles = int((cols + kColumns - 1) / kColumns);
  const int64_t slice = blockIdx.x / tiles, first_col = int64_t(blockIdx.x % tiles) * kColumns;
  const float share = scale / float(patch);
  float* const heads = shared_memory<float>();  // [kWarps, kColumns]
  float* const tails = heads + kWarps * kColumns;
  Open* const opens = reinterpret_cast<Open*>(tails + kWarps * kColumns);

  const int64_t begin = (slice * kWarps + warp) * rows, end = min(begin + rows, int64_t(occurrences.size));
  const int64_t col = first_col + lane * Width;
  const bool in_cols = col < cols;
  const int own = warp * kColumns + lane * Width;
  Open open{-1, -1, false};
  if (begin < end) {
    bool is_head = occurrences.token(begin - 1) == occurrences.token(begin);
    bool ended = false;  // whether the last occurrence's token ends with it
    int token = -1;
    float total[Width] = {};
    const auto keep = [&](float* sums) {
#pragma unroll
      for (int i = 0; i < Width; ++i) sums[own + i] = total[i];
    };
    for (int64_t batch = begin; batch < end; batch += 32) {
      const int count = int(min(int64_t(32), end - batch));
      const int of_lane = lane < count ? occurrences.sorted[batch + lane] : -1;
      const int row_of_lane = lane < count ? occurrences.order[batch + lane] / patch : 0;
      // A bit per occurrence: whether its token ends with it, and whether the sum is then added to the table.
      const unsigned ends = __ballot_sync(kAllLanes, lane < count && of_lane != occurrences.token(batch + lane + 1));
      unsigned adds = ends & __ballot_sync(kAllLanes, occurrences.in_table(of_lane));
      if (is_head) adds &= ~(ends & (0u - ends));  // the first to end is the head
#pragma unroll 1
      for (int at = 0; at < count; at += kGroup) {
        Word<T, Width> douts[kGroup];
        Pack<float, Width> in_table[kGroup];
#pragma unroll
        for (int i = 0; i < kGroup; ++i) {
          const int64_t row = __shfl_sync(kAllLanes, row_of_lane, at + i);
          const int64_t table_row = __shfl_sync(kAllLanes, of_lane, at + i);
          if (in_cols && at + i < count) douts[i] = load_word<T, Width>(dout + row * cols + col);
          if (in_cols && adds >> (at + i) & 1) in_table[i] = load<float, Width>(dtable + table_row * cols + col);
        }
#pragma unroll
        for (int i = 0; i < kGroup; ++i) {
          token = __shfl_sync(kAllLanes, of_lane, min(at + i, count - 1));
          if (at + i >= count) continue;
          if (in_cols) {
            const auto pack = unpacked<T, Width>(douts[i]);
#pragma unroll
            for (int j = 0; j < Width; ++j) total[j] += to_float(pack.at[j]);
          }
          ended = ends >> (at + i) & 1;
          if (!ended) continue;
          if (is_head) {
            keep(heads);
            open.head = token;
            is_head = false;
          } else if (in_cols && adds >> (at + i) & 1) {
#pragma unroll
            for (int j = 0; j < Width; ++j) in_table[i].at[j] += total[j] * share;
            store(dtable + token * cols + col, in_table[i]);
          }
#pragma unroll
          for (int j = 0; j < Width; ++j) total[j] = 0;
        }
      }
    }
    if (!ended && is_head) {
      keep(heads);
      open.head = token;
      open.through = true;
    } else if (!ended) {
      keep(tails);
      open.tail = token;
    }
  }
  if (lane == 0) opens[warp] = open;
  __syncthreads();

  // One thread per column. The table's rows of the tokens that several warps share and that end here are all loaded
  // before the first is added to.
  const int64_t own_col = first_col + threadIdx.x;
  if (int(threadIdx.x) >= kColumns || own_col >= cols) return;
  float in_table[kWarps];
  bool began_here = false;
#pragma unroll
  for (int w = 0; w < kWarps; ++w) {
    const Open shared = opens[w];
    if (began_here && !shared.through && occurrences.in_table(shared.head))
      in_table[w] = dtable[shared.head * cols + own_col];
    began_here |= shared.tail >= 0;
  }
  float* const of_slice = partials + slice * 2 * cols + own_col;
  float sum = 0;
  began_here = false;
#pragma unroll
  for (int w = 0; w < kWarps; ++w) {
    const Open shared = opens[w];
    if (shared.head >= 0) {
      sum += heads[w * kColumns + threadIdx.x];
      if (!shared.through && !began_here) of_slice[0] = sum;
      if (!shared.through && began_here && occurrences.in_table(shared.head))
        dtable[shared.head * cols + own_col] = in_table[w] + sum * share;
    }
    if (shared.tail >= 0) {
      sum = tails[w * kColumns + threadIdx.x];
      began_here = true;
    }
  }
  if (opens[kWarps - 1].through || opens[kWarps - 1].tail >= 0) of_slice[began_here ? cols : 0] = sum;
}

// One block: the token that starts in a slice and continues after it, one thread per column.
__global__ void __launch_bounds__(kThreads)
    patch_embedding_join_kernel(float* dtable, const float* partials, Occurrences occurrences, int64_t cols, int patch,
                                float scale, int64_t slice_size, int slices) {
  const int tiles = int((cols + kThreads - 1) / kThreads);
  const int slice = int(blockIdx.x) / tiles;
  const int64_t col = int64_t(int(blockIdx.x) % tiles) * kThreads + threadIdx.x;
  const int64_t begin = slice * slice_size, end = begin + slice_size;
  const int token = occurrences.token(end);
  if (occurrences.token(end - 1) != token || occurrences.token(begin - 1) == token) return;
  if (col >= cols || !occurrences.in_table(token)) return;
  const float in_table = dtable[token * cols + col];
  // The following slices that start with the token.
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
  dtable[token * cols + col] = in_table + sum * (scale / float(patch));
}

// Occurrences per warp, a multiple of kLeastRows: few enough for kBlocks blocks, but at least the number of tiles of
// kMostColumns columns, which bounds the partial sums for any number of columns. With x = size / (kWarps * rows),
// which `slices` rounds up, there are no partial sums up to x = 1, and fewer than 2x slices beyond:
//   2 * slices * cols < 4x * cols = size * cols / (2 * rows)
//                     <= min(kMostColumns / 2 * size, 4 * kMostColumns * kBlocks)
int64_t rows_for(int64_t size, int64_t cols) {
  const int64_t tiles = (cols + kMostColumns - 1) / kMostColumns;
  const int64_t blocks = kBlocks * kWarps;
  const int64_t least = std::max(tiles, (size * tiles + blocks - 1) / blocks);
  return (least + kLeastRows - 1) / kLeastRows * kLeastRows;
}
int64_t most_partials(int64_t size) {
  return std::min(product_of({kMostColumns / 2, size}), 4 * kMostColumns * kBlocks);
}

template <typename T, int Width>
void backward(const Device& device, const View& dtable, const View& dout, const Occurrences& occurrences,
              float* partials, float scale) {
  const int64_t size = occurrences.size, cols = dout.cols(), rows = rows_for(size, cols), slice_size = rows * kWarps;
  const int64_t slices = (size + slice_size - 1) / slice_size, patch = size / dout.rows();
  const size_t shared_bytes = 2 * kThreads * Width * sizeof(float) + kWarps * sizeof(Open);
  launch<patch_embedding_sum_kernel<T, Width>>(
      kOperation, {blocks_for(slices * blocks_for(cols, 32 * Width), 1), kThreads, shared_bytes, device.stream},
      dtable.as<float>(), partials, dout.as<T>(), occurrences, cols, patch, scale, rows);
  launch<patch_embedding_join_kernel>(
      kOperation, {blocks_for((slices - 1) * blocks_for(cols, kThreads), 1), kThreads, 0, device.stream},
      dtable.as<float>(), partials, occurrences, cols, patch, scale, slice_size, slices);
}

}  // namespace

void CudaKernels::patch_embedding_backward(const View& dtable, const View& dout, const View& tokens,
                                           const View& workspace, float scale) {
  const int64_t size = tokens.size();
  if (size == 0 || dtable.size() == 0) return;
  const TokenKeys keys{tokens.as<int>(), int(dtable.rows())};
  int* const order = workspace.as<int>();
  int* const sorted = order + size;
  // The ordering's workspace is reused for the partial sums.
  int* const rest = sorted + size;
  order_by_token(kOperation, keys, int(size), order, sorted, rest, device_.bad_id, device_.stream);
  const Occurrences occurrences{order, sorted, int(size), keys.vocabulary};
  float* const partials = reinterpret_cast<float*>(rest);
  with_type(dout.dtype, [&](auto type) {
    using T = decltype(type);
    if (dout.cols() % kMostWidth == 0 && aligned_16(dtable.as<float>(), dout.as<T>())) {
      backward<T, kMostWidth>(device_, dtable, dout, occurrences, partials, scale);
    } else {
      backward<T, 1>(device_, dtable, dout, occurrences, partials, scale);
    }
  });
}

int64_t CudaKernels::patch_embedding_backward_workspace(int64_t tokens, int64_t) const {
  return sum_of({product_of({2, tokens}), std::max(tokens, most_partials(tokens))});
}

}  // namespace nextpatch::cuda
