// The labels of next-patch prediction and the weight of each in the loss.
#include "bad_id.cuh"
#include "block_reduce.cuh"
#include "cuda_kernels.h"
#include "launch.cuh"
#include "shared.cuh"

namespace nextpatch::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int kCountThreads = 1024;

// positions: patches per sequence; patch: tokens per patch.
__global__ void __launch_bounds__(kThreads)
    patch_labels_kernel(int* labels, const int* tokens, int64_t size, int64_t positions, int64_t patch) {
  const int64_t i = int64_t(blockIdx.x) * kThreads + threadIdx.x;
  if (i >= size) return;
  const bool last = i / patch % positions == positions - 1;
  labels[i] = last ? kIgnoredLabel : tokens[i + patch];
}

// Block j counts the labels at offset j.
__global__ void __launch_bounds__(kCountThreads)
    label_coefficients_kernel(float* coefficients, const int* labels, const float* weights, int64_t rows) {
  const int64_t patch = gridDim.x, offset = blockIdx.x;
  int count = 0;
  for (int64_t row = threadIdx.x; row < rows; row += kCountThreads)
    count += labels[row * patch + offset] != kIgnoredLabel;
  count = block_sum(count, shared_memory<int>());
  if (threadIdx.x == 0) coefficients[offset] = count == 0 ? 0.0f : weights[offset] / float(count);
}

}  // namespace

void CudaKernels::patch_labels(const View& labels, const View& tokens, int64_t positions) {
  const int64_t size = labels.size();
  const Launch at{blocks_for(size, kThreads), kThreads, 0, device_.stream};
  launch<patch_labels_kernel>("patch_labels", at, labels.as<int>(), tokens.as<int>(), size, positions, labels.cols());
}

void CudaKernels::label_coefficients(const View& coefficients, const View& labels, const View& weights) {
  const Launch at{blocks_for(labels.cols(), 1), kCountThreads, kCountThreads / 32 * sizeof(int), device_.stream};
  launch<label_coefficients_kernel>("label_coefficients", at, coefficients.as<float>(), labels.as<int>(),
                                    weights.as<float>(), labels.rows());
}

}  // namespace nextpatch::cuda
