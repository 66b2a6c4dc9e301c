// Prints the tiles that attention's kernels take on each compute capability, a line each:
// kernel <head dimension, choice> capability warps-a-block shared-bytes multiprocessor-bytes
// Compiled by the host's compiler alone, from the table that the kernels are compiled from.
#include "../../native/cuda/attention/tile_sizes.cuh"

#include <cstdio>

using namespace nextpatch::cuda;

namespace {

struct Capability {
  const char* name;
  size_t multiprocessor_bytes;
};
constexpr Capability kCapabilities[] = {
    {"8.0", 164 * 1024}, {"8.6", 100 * 1024}, {"8.9", 100 * 1024}, {"9.0", 228 * 1024}};

template <typename Tile>
void print(const char* kernel, int head_dim, const Tile (&tiles)[2]) {
  for (const Capability& on : kCapabilities) {
    const int chosen = choose_tile(tiles, head_dim, on.multiprocessor_bytes);
    // Tiles that are the same are compiled once, as the first.
    const int choice = same_tile(tiles[0], tiles[1]) ? 0 : chosen;
    std::printf("%s<%d, %d>\t%s\t%d\t%zu\t%zu\n", kernel, head_dim, choice, on.name, tiles[choice].warps,
                tiles[choice].shared_bytes(head_dim), on.multiprocessor_bytes);
  }
}

}  // namespace

int main() {
  for (const AttentionTiles& tiles : kAttentionTiles) {
    print("attention_forward_kernel", tiles.head_dim, tiles.forward);
    print("attention_dkdv_kernel", tiles.head_dim, tiles.key_gradient);
    print("attention_dq_kernel", tiles.head_dim, tiles.query_gradient);
  }
}
