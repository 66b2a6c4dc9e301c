// Prints the tiles that attention's kernels take on each compute capability, a line each:
// kernel<head dimension, choice> capability warps-a-block shared-bytes multiprocessor-bytes
// Compiled by the host's compiler alone, from the tables that the kernels are compiled from.
#include "../../native/cuda/attention/tile_sizes.cuh"
#include "../../native/cuda/attention/warpgroup_sizes.cuh"

#include <cstdio>
#include <iterator>

using namespace nextpatch::cuda;

namespace {

struct Capability {
  const char* name;
  size_t multiprocessor_bytes;
};
constexpr Capability kHopper = {"9.0", 228 * 1024};
constexpr Capability kCapabilities[] = {{"8.0", 164 * 1024}, {"8.6", 100 * 1024}, {"8.9", 100 * 1024}, kHopper};

template <typename Tile>
void print(const char* kernel, int head_dim, const Tile (&tiles)[2]) {
  for (const Capability& on : kCapabilities) {
    if (&on == std::end(kCapabilities) - 1 && has_warpgroup_sizes(head_dim)) continue;
    const int chosen = choose_tile(tiles, head_dim, on.multiprocessor_bytes);
    // Tiles that are the same are compiled once, as the first.
    const int choice = same_tile(tiles[0], tiles[1]) ? 0 : chosen;
    std::printf("%s<%d, %d>\t%s\t%d\t%zu\t%zu\n", kernel, head_dim, choice, on.name, tiles[choice].warps,
                tiles[choice].shared_bytes(head_dim), on.multiprocessor_bytes);
  }
}

template <typename Size>
void print(const char* kernel, int head_dim, size_t shared_bytes) {
  std::printf("%s<%d>\t%s\t%d\t%zu\t%zu\n", kernel, head_dim, kHopper.name, Size::kThreads / 32, shared_bytes,
              kHopper.multiprocessor_bytes);
}

template <int HeadDim>
void print_warpgroups() {
  using Sizes = WarpgroupSizes<HeadDim>;
  print<typename Sizes::Forward>("attention_forward_wgmma_kernel", HeadDim, Sizes::Forward::forward_bytes(HeadDim));
  print<typename Sizes::KeyGradient>("attention_dkdv_wgmma_kernel", HeadDim,
                                     Sizes::KeyGradient::key_gradient_bytes(HeadDim));
  print<typename Sizes::QueryGradient>("attention_dq_wgmma_kernel", HeadDim,
                                       Sizes::QueryGradient::query_gradient_bytes(HeadDim));
}

template <int... HeadDims>
void print_warpgroups(std::integer_sequence<int, HeadDims...>) {
  (print_warpgroups<HeadDims>(), ...);
}

}  // namespace

int main() {
  for (const AttentionTiles& tiles : kAttentionTiles) {
    print("attention_forward_kernel", tiles.head_dim, tiles.forward);
    print("attention_dkdv_kernel", tiles.head_dim, tiles.key_gradient);
    print("attention_dq_kernel", tiles.head_dim, tiles.query_gradient);
  }
  print_warpgroups(WarpgroupHeadDims{});
}
