// How attention is cut into tiles, for mma.sync on compute capability 8.0 and up. A mainloop for another
// architecture (wgmma and TMA on 9.0) needs a separate table.
//
// The limits: 255 registers per thread, and 99 KB of shared memory, the most that every 8.x allows a block. A warp with
// 32 rows uses each fragment of the other operand for two products instead of one, so it has 32 if its accumulators,
// rows * D / 32 registers per thread each, leave room for the scores.
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

// dK and dV: a block keeps its keys and loops over the queries.
struct KeyGradientTile {
  int rows;     // keys of a block
  int queries;  // in a stage
  int warps;
};

// dQ: a block keeps its queries and loops over the keys.
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

// Slabs of 16 rows, the height of a tensor-core product, per warp.
constexpr int slabs(int rows, int warps) { return rows / (16 * warps); }

}  // namespace nextpatch::cuda
