// The CPU backend's operations, one source file per family. Compiled into a separate library for each instruction
// set (see cpu.cmake).
#pragma once

#include "../kernels.h"

namespace nextpatch::cpu {

class CpuKernels final : public Kernels {
 public:
  explicit CpuKernels(int threads);
  ~CpuKernels() override;

#include "../kernels_overrides.inc"

 private:
  struct Products;  // oneDNN engine, stream and cached primitives (matmul.cpp)
  Products* products_;
  int threads_;
};

}  // namespace nextpatch::cpu
