#include "graph.h"

#include <algorithm>
#include <utility>

#include "runner.h"

namespace nextpatch::simt {

void join(Frontier& frontier, const Frontier& other) {
  for (const size_t node : other)
    if (std::find(frontier.begin(), frontier.end(), node) == frontier.end()) frontier.push_back(node);
}

void WorkGraph::append(Work work, Frontier& frontier) {
  nodes_.push_back({std::move(work), std::move(frontier)});
  frontier = {nodes_.size() - 1};
}

bool WorkGraph::all_before(const Frontier& frontier) const {
  std::vector<bool> reached(nodes_.size());
  std::vector<size_t> open(frontier);
  while (!open.empty()) {
    const size_t node = open.back();
    open.pop_back();
    if (reached[node]) continue;
    reached[node] = true;
    open.insert(open.end(), nodes_[node].after.begin(), nodes_[node].after.end());
  }
  return std::all_of(reached.begin(), reached.end(), [](bool is) { return is; });
}

cudaError_t WorkGraph::run() const {
  std::vector<size_t> waits(nodes_.size()), ready;
  std::vector<std::vector<size_t>> behind(nodes_.size());
  for (size_t node = 0; node < nodes_.size(); ++node) {
    waits[node] = nodes_[node].after.size();
    for (const size_t before : nodes_[node].after) behind[before].push_back(node);
    if (waits[node] == 0) ready.push_back(node);
  }
  while (!ready.empty()) {
    std::sort(ready.begin(), ready.end());
    const auto chosen = ready.begin() + std::ptrdiff_t(choose(ready.size()));
    const size_t node = *chosen;
    ready.erase(chosen);
    if (const cudaError_t error = nodes_[node].work(); error != cudaSuccess) return error;
    for (const size_t next : behind[node])
      if (--waits[next] == 0) ready.push_back(next);
  }
  return cudaSuccess;
}

}  // namespace nextpatch::simt
