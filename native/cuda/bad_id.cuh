// Ids outside the vocabulary: kernels report them, the next wait on the device throws.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>

namespace nextpatch::cuda {

// The bad token id and the bad label with the lowest index since the host last checked. In page-locked host memory that
// the device writes to, so that checking costs no copy; devices write to it only if an id is bad.
struct BadId {
  static constexpr unsigned long long kNone = ~0ull;
  enum What : int { token_id, label, kKinds };

  struct Kind {
    unsigned long long first;  // index << 32 | id
    int vocabulary;
  } kinds[kKinds];
};

// `index`: the id's position in its tensor.
__device__ inline void report_bad_id(BadId* bad, BadId::What what, int64_t index, int32_t id, int64_t vocabulary) {
  bad->kinds[what].vocabulary = int(vocabulary);
  atomicMin(&bad->kinds[what].first, (unsigned long long)(index) << 32 | uint32_t(id));
}

// The label that means "no label here", as in PyTorch and Hugging Face.
constexpr int32_t kIgnoredLabel = -100;

}  // namespace nextpatch::cuda
