// Dispatches a tensor's dtype to a template argument.
#pragma once

#include <cuda_bf16.h>

#include "../core/dtype.h"

namespace nextpatch::cuda {

// Calls f(float()) or f(__nv_bfloat16()).
template <typename F>
void with_type(DType dtype, const F& f) {
  if (dtype == DType::bf16) {
    f(__nv_bfloat16());
  } else {
    f(float());
  }
}

}  // namespace nextpatch::cuda
