// Device and page-locked memory of the stand-in runtime: ordinary host memory.
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>

#include "devices.h"
#include "fault.h"
#include "include/cuda_runtime.h"

namespace {

std::mutex mutex;
struct Allocation {
  size_t bytes;
  int device;
};
std::map<const char*, Allocation> allocations;
size_t allocated_bytes = 0;
std::map<const char*, size_t> host_blocks;

// The device has half of the host's memory, so that an allocation that is too large fails early.
size_t device_bytes() { return size_t(sysconf(_SC_PHYS_PAGES)) * size_t(sysconf(_SC_PAGESIZE)) / 2; }

// The largest page-locked allocation: NEXTPATCH_SIMT_PINNED_BYTES, for testing what happens if there is not enough.
size_t host_block_bytes() {
  const char* const limit = std::getenv("NEXTPATCH_SIMT_PINNED_BYTES");
  return limit ? std::strtoull(limit, nullptr, 10) : SIZE_MAX;
}

}  // namespace

cudaError_t cudaMalloc(void** data, size_t bytes) {
  std::lock_guard<std::mutex> lock(mutex);
  *data = nullptr;
  if (const cudaError_t error = nextpatch::simt::fault()) return error;
  if (bytes > device_bytes() - allocated_bytes) return cudaErrorMemoryAllocation;
  // Exactly the requested size, aligned as on a device, so that a sanitizer finds an access to the first byte after it.
  if (bytes > 0 && posix_memalign(data, 256, bytes) != 0) return cudaErrorMemoryAllocation;
  if (*data) {
    std::memset(*data, 0xff, bytes);
    allocations[static_cast<const char*>(*data)] = {bytes, nextpatch::simt::current_device()};
    allocated_bytes += bytes;
  }
  return cudaSuccess;
}

cudaError_t cudaFree(void* data) {
  if (!data) return cudaSuccess;
  nextpatch::simt::finish_copies();
  std::lock_guard<std::mutex> lock(mutex);
  const auto found = allocations.find(static_cast<const char*>(data));
  if (found == allocations.end()) return cudaErrorInvalidValue;
  allocated_bytes -= found->second.bytes;
  allocations.erase(found);
  std::free(data);
  return cudaSuccess;
}

cudaError_t cudaMemGetInfo(size_t* free_bytes, size_t* total_bytes) {
  std::lock_guard<std::mutex> lock(mutex);
  *total_bytes = device_bytes();
  *free_bytes = *total_bytes - allocated_bytes;
  return cudaSuccess;
}

cudaError_t cudaHostAlloc(void** data, size_t bytes, unsigned) {
  if (const cudaError_t error = nextpatch::simt::fault()) return error;
  std::lock_guard<std::mutex> lock(mutex);
  if (bytes > host_block_bytes() || posix_memalign(data, 256, bytes) != 0) return cudaErrorMemoryAllocation;
  host_blocks[static_cast<const char*>(*data)] = bytes;
  return cudaSuccess;
}
cudaError_t cudaMallocHost(void** data, size_t bytes) { return cudaHostAlloc(data, bytes, 0); }
cudaError_t cudaFreeHost(void* data) {
  nextpatch::simt::finish_copies();
  std::lock_guard<std::mutex> lock(mutex);
  host_blocks.erase(static_cast<const char*>(data));
  std::free(data);
  return cudaSuccess;
}
cudaError_t cudaHostGetDevicePointer(void** device, void* host, unsigned) {
  *device = host;
  return cudaSuccess;
}

bool nextpatch::simt::page_locked(const void* data) {
  std::lock_guard<std::mutex> lock(mutex);
  const char* const byte = static_cast<const char*>(data);
  const auto behind = host_blocks.upper_bound(byte);
  return behind != host_blocks.begin() && byte < std::prev(behind)->first + std::prev(behind)->second;
}

int nextpatch::simt::device_of(const void* address) {
  std::lock_guard<std::mutex> lock(mutex);
  const char* const byte = static_cast<const char*>(address);
  const auto behind = allocations.upper_bound(byte);
  if (behind == allocations.begin()) return -1;
  const auto& [begin, allocation] = *std::prev(behind);
  return byte < begin + allocation.bytes ? allocation.device : -1;
}
