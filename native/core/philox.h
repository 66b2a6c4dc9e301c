// Philox4x32-10, the counter-based generator of Salmon et al., "Parallel Random Numbers: As Easy as 1, 2, 3"
// (SC 2011): word i of a stream is a function of (seed, stream, i) alone, so any thread of any backend can draw it.
#pragma once

#include <cstdint>

// Device code defines it as __host__ __device__ before including this file.
#ifndef NEXTPATCH_HOST_DEVICE
#define NEXTPATCH_HOST_DEVICE
#endif

namespace nextpatch {

struct PhiloxWords {
  uint32_t word[4];
};

// The four words at `counter` of one of the streams of `seed`.
NEXTPATCH_HOST_DEVICE inline PhiloxWords philox(uint64_t seed, uint64_t counter, uint32_t stream = 0) {
  uint32_t x0 = uint32_t(counter), x1 = uint32_t(counter >> 32), x2 = stream, x3 = 0;
  uint32_t key0 = uint32_t(seed), key1 = uint32_t(seed >> 32);
  for (int round = 0; round < 10; ++round) {
    const uint64_t product0 = uint64_t(0xD2511F53u) * x0;
    const uint64_t product1 = uint64_t(0xCD9E8D57u) * x2;
    x0 = uint32_t(product1 >> 32) ^ x1 ^ key0;
    x1 = uint32_t(product1);
    x2 = uint32_t(product0 >> 32) ^ x3 ^ key1;
    x3 = uint32_t(product0);
    key0 += 0x9E3779B9u;
    key1 += 0xBB67AE85u;
  }
  return {{x0, x1, x2, x3}};
}

// In [0, 1): the 24 bits a float holds exactly.
NEXTPATCH_HOST_DEVICE inline float philox_uniform(uint32_t word) { return float(word >> 8) * 0x1p-24f; }

// In (0, 1], from all 32 bits, so that its logarithm is finite and reaches far into the tail.
NEXTPATCH_HOST_DEVICE inline float philox_uniform_positive(uint32_t word) { return float(word) * 0x1p-32f + 0x1p-33f; }

}  // namespace nextpatch
