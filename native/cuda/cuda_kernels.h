// The CUDA backend's operations; each family is defined in a file of its own. Compiled by nvcc for GPUs and
// by the host's compiler for simt.
#pragma once

#include <cuda_runtime.h>

#include <memory>

#include "../kernels.h"

namespace nextpatch::cuda {

class Gemm;
struct BadId;

// What a kernel's launcher needs to know of the device.
struct Device {
  int index = 0;
  cudaStream_t stream = nullptr;
  size_t shared_bytes = 0;  // the most dynamic shared memory of a block, opted in
  BadId* bad_id = nullptr;  // where kernels report ids outside the vocabulary
};

class CudaKernels final : public Kernels {
 public:
  explicit CudaKernels(const Device& device);
  ~CudaKernels() override;

  // As Context's.
  size_t workspace_bytes() const;
  void use_workspace(void* data);

  void fill(const View& out, float value) override;
  void copy(const View& out, const View& in) override;
  void normal(const View& out, float std, uint64_t seed, uint64_t offset) override;
  void rotary_table(const View& table, const View& inverse_frequencies) override;
  void matmul(const View& c, const View& a, const View& b, bool transpose_a, bool transpose_b,
              bool accumulate) override;
  void patch_embedding_forward(const View& out, const View& tokens, const View& table) override;
  void patch_embedding_backward(const View& dtable, const View& dout, const View& tokens,
                                const View& workspace) override;
  int64_t patch_embedding_backward_workspace(int64_t tokens, int64_t vocabulary) const override;
  void rmsnorm_forward(const View& out, const View& sum, const View& rstd, const View& x, const View& add,
                       const View& weight, float epsilon) override;
  void rmsnorm_backward(const View& dx, const View& dweight, const View& dout, const View& sum, const View& rstd,
                        const View& weight, const View& workspace, bool accumulate) override;
  int64_t rmsnorm_backward_workspace(int64_t rows, int64_t cols) const override;
  void rotary(const View& x, const View& table, int64_t offset, bool inverse) override;
  void attention_forward(const View& out, const View& lse, const View& q, const View& k, const View& v,
                         float scale) override;
  void attention_backward(const View& dq, const View& dk, const View& dv, const View& dout, const View& q,
                          const View& k, const View& v, const View& out, const View& lse, const View& workspace,
                          float scale) override;
  int64_t attention_backward_workspace(int64_t batch, int64_t queries, int64_t keys, int64_t heads, int64_t kv_heads,
                                       int64_t head_dim) const override;
  void swiglu_forward(const View& out, const View& gate_up) override;
  void swiglu_backward(const View& dgate_up, const View& dout, const View& gate_up) override;
  void patch_labels(const View& labels, const View& tokens, int64_t positions) override;
  void label_coefficients(const View& coefficients, const View& labels, const View& weights) override;
  void cross_entropy(const View& losses, const View& logits, const View& labels, const View& coefficients,
                     bool gradient) override;
  void sum(const View& out, const View& in, bool accumulate) override;
  void grad_norm(const View& norm, const View& grad, const View& workspace) override;
  int64_t grad_norm_workspace(int64_t size) const override;
  void adamw(const View& param, const View& master, const View& m, const View& v, const View& steps,
             const View& corrections, const View& grad, const View& norm, const View& hyper, int64_t decayed) override;
  void sample(const View& out, const View& logits, const View& workspace, const Sampling& sampling) override;
  int64_t sample_workspace(int64_t rows, int64_t vocabulary) const override;

 private:
  Device device_;
  std::unique_ptr<Gemm> gemm_;
};

}  // namespace nextpatch::cuda
