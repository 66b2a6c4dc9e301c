// Captured work as a graph: what must come before what, and nothing more, so that a replay may go through it in any
// order that the graph allows. Two streams that a capture has forked without a wait between them are free of each
// other here as they are on a device.
#pragma once

#include <cuda_runtime.h>

#include <cstddef>
#include <functional>
#include <memory>
#include <vector>

namespace nextpatch::simt {

using Work = std::function<cudaError_t()>;

struct Node {
  Work work;
  std::vector<size_t> after;  // nodes that come first
};

// Nodes that the next one on a stream comes after.
using Frontier = std::vector<size_t>;

// Adds what is missing of `other` to `frontier`.
void join(Frontier& frontier, const Frontier& other);

class WorkGraph {
 public:
  // Appends work behind a frontier, which becomes the node itself.
  void append(Work work, Frontier& frontier);

  // Whether every node comes before those of `frontier`, or is one of them.
  bool all_before(const Frontier& frontier) const;

  // Runs every node once, in an order that the graph allows and the schedule chooses: the order of capture, the
  // reverse as far as may be, or a random one. Stops at the first error.
  cudaError_t run() const;

 private:
  std::vector<Node> nodes_;
};

}  // namespace nextpatch::simt
