// Which GPU the simulated device has the limits of.
#pragma once

#include <cstddef>

namespace nextpatch::simt {

struct Capability {
  int major, minor;
  size_t block_bytes;           // shared memory of a block, opted in
  size_t multiprocessor_bytes;  // shared memory of a multiprocessor
};

// NEXTPATCH_SIMT_CAPABILITY's: 8.0, 8.6, 8.9, 9.0 (the default) or 10.0. Ends the process for anything else.
const Capability& capability();

}  // namespace nextpatch::simt
