#include "devices.h"

#include <cstdio>
#include <cstdlib>

namespace nextpatch::simt {
namespace {

constexpr int kMostDevices = 16;

int chosen_count() {
  const char* const text = std::getenv("NEXTPATCH_SIMT_DEVICES");
  if (!text || !*text) return 1;
  char* end = nullptr;
  const long count = std::strtol(text, &end, 10);
  if (*end == '\0' && count >= 1 && count <= kMostDevices) return int(count);
  std::fprintf(stderr, "NEXTPATCH_SIMT_DEVICES: expected a number from 1 to %d but received %s\n", kMostDevices, text);
  std::abort();
}

thread_local int current = 0;

}  // namespace

int device_count() {
  static const int count = chosen_count();
  return count;
}

int current_device() { return current; }

cudaError_t set_current_device(int device) {
  if (device < 0 || device >= device_count()) return cudaErrorInvalidDevice;
  current = device;
  return cudaSuccess;
}

}  // namespace nextpatch::simt
