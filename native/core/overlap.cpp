#include "overlap.h"

#include <algorithm>

namespace nextpatch {
namespace {

constexpr int kMostSteps = 1 << 16;

int64_t floor_of(int64_t a, int64_t b) { return a / b - (a % b < 0); }
int64_t ceiling_of(int64_t a, int64_t b) { return -floor_of(-a, b); }

// A view as runs of bytes that lie apart: levels of `count` parts, `step` bytes from one to the next, the outermost
// first. The parts of a level do not overlap.
struct Runs {
  struct Level {
    int64_t count, step;
    int64_t extent;  // bytes from the begin of the first part to the end of the last
  };
  std::array<Level, kMaxRank> levels{};
  int depth = 0;
  int64_t run;

  explicit Runs(const View& view) : run(int64_t(size_of(view.dtype))) {
    const int64_t bytes = run;
    for (int i = view.rank - 1; i >= 0; --i) {
      const int64_t count = view.shape[i], step = view.stride[i] * bytes;
      if (count == 1) continue;
      if (depth == 0 && step == run) {
        run *= count;
      } else if (depth > 0 && step == levels[depth - 1].step * levels[depth - 1].count) {
        levels[depth - 1].count *= count;
      } else {
        levels[depth++] = {count, step, 0};
      }
    }
    std::reverse(levels.begin(), levels.begin() + depth);
    for (int i = depth - 1; i >= 0; --i) levels[i].extent = (levels[i].count - 1) * levels[i].step + extent(i + 1);
  }

  int64_t extent(int level) const { return level == depth ? run : levels[level].extent; }
};

class Search {
 public:
  Search(const Runs& a, const Runs& b) : a_(a), b_(b) {}

  // Whether a part of `a` at level i and one of `b` at level j overlap that begins `offset` bytes behind it.
  bool meet(int i, int j, int64_t offset) {
    if (offset >= a_.extent(i) || offset + b_.extent(j) <= 0) return false;
    if (++steps_ > kMostSteps) return true;
    const bool split_a = i < a_.depth, split_b = j < b_.depth;
    if (!split_a && !split_b) return true;
    // With one step, only the difference of the two indices counts: this has few cases, however many rows there are.
    if (split_a && split_b && a_.levels[i].step == b_.levels[j].step)
      return any(a_.levels[i].step, offset, a_.extent(i + 1), b_.extent(j + 1), 1 - a_.levels[i].count,
                 b_.levels[j].count - 1, [&](int64_t at) { return meet(i + 1, j + 1, at); });
    if (split_a && (!split_b || a_.levels[i].step > b_.levels[j].step))
      return any(a_.levels[i].step, offset, a_.extent(i + 1), b_.extent(j), 1 - a_.levels[i].count, 0,
                 [&](int64_t at) { return meet(i + 1, j, at); });
    return any(b_.levels[j].step, offset, a_.extent(i), b_.extent(j + 1), 0, b_.levels[j].count - 1,
               [&](int64_t at) { return meet(i, j + 1, at); });
  }

 private:
  // Whether f(offset + n * step) holds for an n of low..high at which parts of these extents touch.
  template <typename F>
  static bool any(int64_t step, int64_t offset, int64_t a_extent, int64_t b_extent, int64_t low, int64_t high,
                  const F& f) {
    low = std::max(low, ceiling_of(1 - b_extent - offset, step));
    high = std::min(high, floor_of(a_extent - 1 - offset, step));
    for (int64_t n = low; n <= high; ++n)
      if (f(offset + n * step)) return true;
    return false;
  }

  const Runs& a_;
  const Runs& b_;
  int steps_ = 0;
};

}  // namespace

bool overlap(const View& a, const View& b) {
  const Runs of_a(a), of_b(b);
  return Search(of_a, of_b).meet(0, 0, static_cast<const char*>(b.data) - static_cast<const char*>(a.data));
}

bool identical(const View& a, const View& b) {
  if (a.data != b.data || a.dtype != b.dtype || a.rank != b.rank || a.shape != b.shape) return false;
  for (int i = 0; i < a.rank; ++i)
    if (a.shape[i] > 1 && a.stride[i] != b.stride[i]) return false;
  return true;
}

}  // namespace nextpatch
