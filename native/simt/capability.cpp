#include "capability.h"

#include <cstdio>
#include <cstdlib>
#include <string>

namespace nextpatch::simt {
namespace {

// CUDA C++ Programming Guide, "Technical Specifications per Compute Capability".
constexpr Capability kCapabilities[] = {
    {8, 0, 163 * 1024, 164 * 1024}, {8, 6, 99 * 1024, 100 * 1024},   {8, 9, 99 * 1024, 100 * 1024},
    {9, 0, 227 * 1024, 228 * 1024}, {10, 0, 227 * 1024, 228 * 1024},
};

const Capability& choose() {
  const char* const text = std::getenv("NEXTPATCH_SIMT_CAPABILITY");
  const std::string wanted = text && *text ? text : "9.0";
  for (const Capability& known : kCapabilities)
    if (wanted == std::to_string(known.major) + "." + std::to_string(known.minor)) return known;
  std::fprintf(stderr, "NEXTPATCH_SIMT_CAPABILITY: expected 8.0, 8.6, 8.9, 9.0 or 10.0 but received %s\n", text);
  std::abort();
}

}  // namespace

const Capability& capability() {
  static const Capability& chosen = choose();
  return chosen;
}

}  // namespace nextpatch::simt
