// What a block keeps of its warpgroups' products.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace nextpatch::simt {

// Where a block's dynamic shared memory begins in the addresses of descriptors: as on a GPU, behind what the driver
// keeps of it.
constexpr uint32_t kSharedStart = 1024;

struct WgmmaCall {
  int n;
  bool a_from_registers, b_by_rows, add;
  uint64_t a, b;

  bool operator==(const WgmmaCall& other) const {
    return n == other.n && a_from_registers == other.a_from_registers && b_by_rows == other.b_by_rows &&
           add == other.add && a == other.a && b == other.b;
  }
};

// A warp's part of a product that is not complete: 16 rows.
struct WgmmaProduct {
  WgmmaCall call;
  int group;
  float* d[32];
  const uint32_t* a_registers[32];
  std::vector<float> before[32];          // of d; empty if it goes on from a product that is not complete either
  std::vector<float> a_values, b_values;  // once they were read
};

struct Warpgroup {
  std::vector<WgmmaCall> calls;  // that its first warp to come has begun
  size_t begun[4] = {};
};

struct Block;
struct Thread;

// Whether the thread's warp has products that it did not wait for.
bool has_unfinished_wgmmas(const Thread& thread);

// Called when all threads are done: a warp that began fewer products than others of its warpgroup, or empty.
std::string uneven_warpgroup(const Block& block);

}  // namespace nextpatch::simt
