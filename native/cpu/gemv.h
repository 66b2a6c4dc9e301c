// The matrix product with one row, as in decoding. The cost is reading the weights once; oneDNN's products, made for
// many rows, take two to three times as long.
#pragma once

#include "../core/view.h"

namespace nextpatch::cpu {

// c[1,N] (+)= a[1,K] b[N,K]^T; dtypes as in Kernels::matmul.
void gemv(const View& c, const View& a, const View& b, bool accumulate);

}  // namespace nextpatch::cpu
