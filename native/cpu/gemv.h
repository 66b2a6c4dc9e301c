// The matrix product with one row: what decoding does. The cost is reading the weights once, which oneDNN's
// products, made for many rows, take two to three times as long for.
#pragma once

#include "../core/view.h"

namespace nextpatch::cpu {

// c[1,N] (+)= a[1,K] b[N,K]^T; dtypes as Kernels::matmul's.
void gemv(const View& c, const View& a, const View& b, bool accumulate);

}  // namespace nextpatch::cpu
