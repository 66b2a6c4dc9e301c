// The code that `info` says a GPU runs.
#include "../../cuda/gpu_code.h"

#include <cstdlib>

#include "check.h"

namespace nextpatch::cuda {

TEST(gpu_code_is_its_own_or_the_nearest_before) {
  EXPECT(gpu_code(8, 0) == "machine code for sm_80");
  EXPECT(gpu_code(8, 6) == "machine code for sm_86");
  EXPECT(gpu_code(8, 9) == "machine code for sm_89");
  EXPECT(gpu_code(9, 0) == "machine code for sm_90a");
  EXPECT(gpu_code(8, 9, false, "86 80", 90) == "machine code for sm_86");
}

TEST(gpu_code_of_later_gpus_is_ptx) {
  for (int major : {10, 11, 12}) EXPECT(gpu_code(major, 0) == "PTX for compute_90, which the driver compiles");
  EXPECT(gpu_code(12, 1) == "PTX for compute_90, which the driver compiles");
  EXPECT(gpu_code(9, 1, false, "90a", 90) == "PTX for compute_90, which the driver compiles");
}

TEST(gpu_code_is_ptx_where_the_driver_must_compile) {
  EXPECT(gpu_code(9, 0, true) == "PTX for compute_90, which the driver compiles");
  EXPECT(gpu_code(8, 0, true).empty());
  const char* const name = "CUDA_FORCE_PTX_JIT";
  unsetenv(name);
  EXPECT(!ptx_is_forced());
  setenv(name, "0", 1);
  EXPECT(!ptx_is_forced());
  setenv(name, "1", 1);
  EXPECT(ptx_is_forced());
  unsetenv(name);
}

TEST(gpu_code_is_none_for_older_gpus_and_jetson) {
  EXPECT(gpu_code(7, 5).empty());
  EXPECT(gpu_code(8, 7).empty());
  EXPECT(gpu_code(8, 0, false, "86", 90).empty());
}

}  // namespace nextpatch::cuda
