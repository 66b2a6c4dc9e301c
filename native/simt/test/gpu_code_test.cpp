// The code that `info` says a GPU runs.
#include "../../cuda/gpu_code.h"

#include "check.h"

namespace nextpatch::cuda {

TEST(gpu_code_is_what_a_gpu_runs) {
  EXPECT(gpu_code(7, 5).empty());
  for (int minor : {0, 6, 7, 9}) EXPECT(gpu_code(8, minor) == "machine code for sm_80");
  EXPECT(gpu_code(9, 0) == "machine code for sm_90a");
  for (int major : {10, 11, 12}) EXPECT(gpu_code(major, 0) == "PTX for compute_90, compiled by the driver");
}

}  // namespace nextpatch::cuda
