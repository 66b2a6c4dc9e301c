// How attention is cut into tiles, for mma.sync on compute capability 8.0 and up; warpgroup_sizes.cuh has the sizes for
// wgmma on 9.0.
//
// What bounds the choice: 255 registers a thread; the shared memory of a block, 163 KB on 8.0, 99 KB on 8.6 and 8.9,
// 227 KB on 9.0; and what a multiprocessor has for all its blocks, 1 KB more. A warp with 32 rows reads each fragment
// of the other operand for two products instead of one, so it has 32 if its accumulators, rows * D / 32 registers a
// thread for each, leave room for the scores; at D = 256 a warp has 16. But a multiprocessor wants eight warps at
// least, two for each of its schedulers, or nothing hides the latency of a product. So a kernel may have two tiles: the
// first where it gives eight warps, else the second. The host chooses when it launches.
//
// Host code only beside constants: bench/occupancy compiles it alone.
#pragma once

#include <cstddef>

namespace nextpatch::cuda {

// Of a block, for the first and the second of a kernel's two tiles: the first is for devices that have more.
constexpr size_t most_shared_bytes(int choice) { return (choice == 0 ? 163 : 99) * size_t(1024); }
// Of a multiprocessor's shared memory, each block takes so much for itself.
constexpr size_t kReservedBytes = 1024;
constexpr int kWantedWarps = 8;

struct ForwardTile {
  int rows;   // queries of a block
  int keys;   // keys and values in a slot of the ring
  int warps;  // share the rows
  int slots;  // K and V tiles held at once

  // q, and the ring.
  constexpr size_t shared_bytes(int head_dim) const { return size_t(rows + slots * keys) * head_dim * 2; }
};

// dK and dV: a block keeps its keys and goes through the queries.
struct KeyGradientTile {
  int rows;     // keys of a block
  int queries;  // in a stage
  int warps;
  int sharers;    // warps that share a set of keys: 1, or 2, where one sums dV and the other dK
  int sends = 1;  // parts in which one warp sends p to the other, through the memory of one

  // q and dout of a stage, and their rows' lse and delta.
  constexpr size_t stage_bytes(int head_dim) const { return size_t(2 * queries) * (head_dim * 2 + sizeof(float)); }
  // k and v, two stages, and p, if one warp sends it to another.
  constexpr size_t shared_bytes(int head_dim) const {
    const size_t sent = sharers == 1 ? 0 : size_t(rows) * queries * sizeof(float) / sends;
    return size_t(2 * rows) * head_dim * 2 + 2 * stage_bytes(head_dim) + sent;
  }
};

// dQ: a block keeps its queries and goes through the keys.
struct QueryGradientTile {
  int rows;  // queries of a block
  int keys;  // in a stage
  int warps;
  bool holds_dout = false;  // in registers; else in shared memory

  // q and dout, and two stages of k and v.
  constexpr size_t shared_bytes(int head_dim) const {
    return size_t((holds_dout ? 1 : 2) * rows + 2 * 2 * keys) * head_dim * 2;
  }
};

// The first of each is taken if a multiprocessor has the shared memory for kWantedWarps, else the second.
struct AttentionTiles {
  int head_dim;
  ForwardTile forward[2];
  KeyGradientTile key_gradient[2];
  QueryGradientTile query_gradient[2];
};

constexpr AttentionTiles kAttentionTiles[] = {
    {16, {{128, 64, 4, 3}, {128, 64, 4, 3}}, {{128, 64, 4, 1}, {128, 64, 4, 1}}, {{128, 64, 4}, {128, 64, 4}}},
    {32, {{128, 64, 4, 3}, {128, 64, 4, 3}}, {{128, 64, 4, 1}, {128, 64, 4, 1}}, {{128, 64, 4}, {128, 64, 4}}},
    {48, {{128, 64, 4, 3}, {128, 64, 4, 3}}, {{128, 32, 4, 1}, {128, 32, 4, 1}}, {{128, 64, 4}, {128, 64, 4}}},
    {64, {{128, 64, 4, 3}, {128, 64, 4, 3}}, {{128, 32, 4, 1}, {128, 32, 4, 1}}, {{128, 32, 4}, {128, 32, 4}}},
    {80, {{128, 64, 4, 3}, {128, 64, 4, 2}}, {{128, 64, 8, 2}, {128, 32, 8, 2}}, {{128, 32, 4}, {128, 32, 8}}},
    {96, {{128, 64, 4, 3}, {128, 32, 4, 3}}, {{128, 32, 8, 2}, {128, 32, 8, 2}}, {{128, 32, 4}, {128, 32, 8}}},
    {128, {{128, 64, 4, 3}, {128, 32, 4, 2}}, {{128, 32, 8, 2}, {128, 32, 8, 1}}, {{128, 32, 4}, {128, 32, 8}}},
    {256,
     {{128, 32, 8, 4}, {128, 32, 8, 2}},
     {{64, 32, 8, 2}, {64, 16, 8, 2, 2}},
     {{128, 16, 8, true}, {128, 16, 8, true}}},
};

constexpr AttentionTiles attention_tiles(int head_dim) {
  for (const AttentionTiles& tiles : kAttentionTiles)
    if (tiles.head_dim == head_dim) return tiles;
  return {};
}

// Warps of a multiprocessor with so much shared memory, as far as that decides.
template <typename Tile>
constexpr int warps_by_shared_memory(const Tile& tile, int head_dim, size_t multiprocessor_bytes) {
  return int(multiprocessor_bytes / (tile.shared_bytes(head_dim) + kReservedBytes)) * tile.warps;
}

// Which of a kernel's two tiles a device takes.
template <typename Tile>
constexpr int choose_tile(const Tile (&tiles)[2], int head_dim, size_t multiprocessor_bytes) {
  return warps_by_shared_memory(tiles[0], head_dim, multiprocessor_bytes) >= kWantedWarps ? 0 : 1;
}

template <typename Tile>
constexpr bool same_tile(const Tile& a, const Tile& b) {
  return a.rows == b.rows && a.warps == b.warps && a.shared_bytes(16) == b.shared_bytes(16);
}

// Slabs of 16 rows, the height of a tensor-core product, that each warp has.
constexpr int slabs(int rows, int warps) { return rows / (16 * warps); }

}  // namespace nextpatch::cuda
