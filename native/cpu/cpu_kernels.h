// The CPU backend's operations; each family is defined in a file of its own. Compiled once for every
// instruction set (see CMakeLists.txt), each time into a library of its own.
#pragma once

#include "../kernels.h"

namespace nextpatch::cpu {

class CpuKernels final : public Kernels {
 public:
  explicit CpuKernels(int threads);
  ~CpuKernels() override;

#include "../kernels_overrides.inc"

 private:
  struct Products;  // oneDNN engine, stream and primitives made so far (matmul.cpp)
  Products* products_;
  int threads_;
};

}  // namespace nextpatch::cpu
