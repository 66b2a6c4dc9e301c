#include "fault.h"

#include <atomic>
#include <cstdlib>

namespace nextpatch::simt {
namespace {

std::atomic<bool> faulted{false};
std::atomic<unsigned long> launches{0};

}  // namespace

cudaError_t fault() { return faulted ? cudaErrorLaunchFailure : cudaSuccess; }

bool faults_now() {
  static const char* const number = std::getenv("NEXTPATCH_SIMT_FAULT");
  if (!number || ++launches != std::strtoul(number, nullptr, 10)) return false;
  return faulted = true;
}

int64_t lost_block(const std::string& kernel, uint32_t blocks) {
  const char* const value = std::getenv("NEXTPATCH_SIMT_LOST_BLOCK");
  if (!value || !*value) return -1;
  const std::string text = value;
  const size_t colon = text.rfind(":last");
  if (kernel.rfind(text.substr(0, colon), 0) != 0) return -1;
  return colon == std::string::npos ? 0 : int64_t(blocks) - 1;
}

}  // namespace nextpatch::simt
