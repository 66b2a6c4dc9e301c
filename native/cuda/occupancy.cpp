#include "occupancy.h"

#include <cxxabi.h>
#include <fcntl.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <string>

namespace nextpatch::cuda {
namespace {

std::string kernel_name(const void* kernel) {
  const char* symbol = "";
  if (cudaFuncGetName(&symbol, kernel) != cudaSuccess) return "";
  int status = 0;
  char* const readable = abi::__cxa_demangle(symbol, nullptr, nullptr, &status);
  const std::string name = readable ? readable : symbol;
  std::free(readable);
  return name;
}

}  // namespace

void report_occupancy(const void* kernel, const dim3& block, size_t shared_bytes) {
  const char* file = std::getenv("NEXTPATCH_CUDA_OCCUPANCY");
  if (!file || !*file) return;
  const int threads = int(block.x * block.y * block.z);
  std::string line = "{\"kernel\":\"" + kernel_name(kernel) + "\"";
  const auto add = [&](const char* key, size_t value) {
    line += ",\"" + std::string(key) + "\":" + std::to_string(value);
  };
  add("threads", size_t(threads));
  add("sharedBytes", shared_bytes);
  cudaFuncAttributes attributes{};
  if (cudaFuncGetAttributes(&attributes, kernel) == cudaSuccess) {
    add("registers", size_t(attributes.numRegs));
    add("localBytes", attributes.localSizeBytes);
    add("binary", size_t(attributes.binaryVersion));
  }
  int blocks = 0;
  if (cudaOccupancyMaxActiveBlocksPerMultiprocessor(&blocks, kernel, threads, shared_bytes) == cudaSuccess)
    add("blocks", size_t(blocks));
  cudaGetLastError();  // clears what was refused, else the launch would be blamed
  line += "}\n";
  // In one write, since several processes may append to one file.
  const int to = open(file, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  if (to < 0 || write(to, line.data(), line.size()) != ssize_t(line.size())) std::perror("NEXTPATCH_CUDA_OCCUPANCY");
  if (to >= 0) close(to);
}

}  // namespace nextpatch::cuda
