// How attention is cut into tiles, for mma.sync on compute capability 8.0 and up. A mainloop for another
// architecture (wgmma and TMA on 9.0) brings a table of its own.
//
// What bounds the choice: 255 registers a thread, and 99 KB of shared memory, the most a block has on every
// 8.x. A warp with 32 rows reads each fragment of the other operand for two products instead of one, so it
// has 32 wherever its accumulators, rows * D / 32 registers a thread for each, leave room for the scores.
#pragma once

#include <cstddef>

namespace nextpatch::cuda {

constexpr size_t kMostSharedBytes = 99 * 1024;

struct ForwardTile {
  int rows;   // queries of a block
  int keys;   // keys and values in a slot of the ring
  int warps;  // share the rows
  int slots;  // K and V tiles held at once
};

// dK and dV: a block stays with its keys and goes through the queries.
struct KeyGradientTile {
  int rows;     // keys of a block
  int queries;  // in a stage
  int warps;
};

// dQ: a block stays with its queries and goes through the keys.
struct QueryGradientTile {
  int rows;  // queries of a block
  int keys;  // in a stage
  int warps;
};

struct AttentionTiles {
  int head_dim;
  ForwardTile forward;
  KeyGradientTile key_gradient;
  QueryGradientTile query_gradient;
};

constexpr AttentionTiles kAttentionTiles[] = {
    {32, {128, 64, 4, 3}, {128, 64, 4}, {128, 64, 4}}, {48, {128, 64, 4, 3}, {128, 32, 4}, {128, 64, 4}},
    {64, {128, 64, 4, 3}, {128, 32, 4}, {128, 32, 4}}, {80, {128, 64, 4, 3}, {128, 64, 8}, {128, 32, 4}},
    {96, {128, 64, 4, 3}, {128, 64, 8}, {128, 32, 4}}, {128, {128, 64, 4, 3}, {128, 32, 8}, {128, 32, 4}},
};

constexpr AttentionTiles attention_tiles(int head_dim) {
  for (const AttentionTiles& tiles : kAttentionTiles)
    if (tiles.head_dim == head_dim) return tiles;
  return {};
}

// Slabs of 16 rows, the height of a tensor-core product, that each warp has.
constexpr int slabs(int rows, int warps) { return rows / (16 * warps); }

}  // namespace nextpatch::cuda
