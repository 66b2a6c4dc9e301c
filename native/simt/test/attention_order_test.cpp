// The order of attention's blocks: every work item occurs once, ordered by groups and tiles.
#include "../../cuda/attention/order.h"

#include <algorithm>
#include <tuple>
#include <vector>

#include "check.h"

namespace nextpatch::cuda {
namespace {

// All existing blocks of the order, in the sequence in which a device starts them.
std::vector<AttentionBlock> blocks_of(const AttentionOrder& order) {
  std::vector<AttentionBlock> blocks;
  gridDim = order.grid;
  for (blockIdx.z = 0; blockIdx.z < gridDim.z; ++blockIdx.z)
    for (blockIdx.y = 0; blockIdx.y < gridDim.y; ++blockIdx.y)
      for (blockIdx.x = 0; blockIdx.x < gridDim.x; ++blockIdx.x)
        if (const AttentionBlock block = order.block(); block.exists) blocks.push_back(block);
  return blocks;
}

struct Shape {
  int64_t batch, kv_heads, heads, tiles, shared_bytes;
};

TEST(attention_order_has_every_tile_of_every_head_once) {
  const Shape shapes[] = {
      {1, 1, 1, 1, 1},
      {2, 3, 4, 5, 1000},             // one group
      {3, 5, 2, 7, kGroupBytes / 4},  // four groups, the last not full
      {3, 2, 1, 4, kGroupBytes + 1},  // a pair that does not fit is a group by itself
      {70'000, 1, 1, 1, 64},          // more sequences than a grid's y or z holds
      {3, 1, 2, 3, 0},                // nothing shared: no keys
  };
  for (const auto& [batch, kv_heads, heads, tiles, shared_bytes] : shapes) {
    const AttentionOrder order(batch, kv_heads, heads, tiles, shared_bytes);
    EXPECT(order.grid.y <= 65535 && order.grid.z <= 65535);
    std::vector<int64_t> seen;
    for (const AttentionBlock& block : blocks_of(order)) {
      EXPECT(block.batch < batch && block.kv_head < kv_heads && block.head < heads && block.tile < tiles);
      seen.push_back(((block.batch * kv_heads + block.kv_head) * heads + block.head) * tiles + block.tile);
    }
    std::sort(seen.begin(), seen.end());
    EXPECT(int64_t(seen.size()) == batch * kv_heads * heads * tiles);
    for (size_t i = 0; i < seen.size(); ++i) EXPECT(seen[i] == int64_t(i));
  }
}

TEST(attention_order_goes_by_groups_that_fit_the_cache_and_by_tiles_within) {
  const auto blocks = blocks_of(AttentionOrder(2, 4, 2, 3, kGroupBytes / 3));  // groups of 3, 3 and 2 pairs
  const auto place = [](const AttentionBlock& block) {
    const int pair = block.batch * 4 + block.kv_head;
    return std::tuple(pair / 3, block.tile, pair, block.head);
  };
  EXPECT(
      std::is_sorted(blocks.begin(), blocks.end(), [&](const auto& a, const auto& b) { return place(a) < place(b); }));
}

TEST(attention_has_no_more_tiles_than_a_grid_holds) {
  EXPECT(tiles_of(1, 128) == 1 && tiles_of(128, 128) == 1 && tiles_of(129, 128) == 2);
  EXPECT(tiles_of(65535 * 128, 128) == 65535);
  EXPECT(refusal([] { tiles_of(65535 * 16 + 1, 16); }) ==
         "attention: expected at most 1048560 positions of this head dimension and dtype but received 1048561");
}

TEST(divisor_divides_all_numbers_below_2_31) {
  for (unsigned divisor : {1u, 2u, 3u, 7u, 12u, 64u, 641u, 65'537u, 70'000u, 0x7fffffffu}) {
    const Divisor by(divisor);
    for (unsigned x : {0u, 1u, divisor - 1, divisor, divisor + 1, 123'456'789u, 0x7ffffffeu, 0x7fffffffu}) {
      if (x > 0x7fffffffu) continue;
      EXPECT(by.quotient(x) == x / divisor);
      EXPECT(by.remainder(x) == x % divisor);
    }
  }
}

}  // namespace
}  // namespace nextpatch::cuda
