// Device and page-locked memory of the stand-in runtime: ordinary host memory.
#include <sys/mman.h>
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

// NEXTPATCH_SIMT_SPARSE=1: memory is only reserved, and holds zeros until it is written. So a test can have tensors of
// more than 2^31 elements of which it touches a few rows.
bool sparse() {
  static const bool is = std::getenv("NEXTPATCH_SIMT_SPARSE") != nullptr;
  return is;
}

// The device has half of the host's memory, so that an allocation that is too large fails early.
size_t device_bytes() {
  if (sparse()) return size_t(1) << 44;
  return size_t(sysconf(_SC_PHYS_PAGES)) * size_t(sysconf(_SC_PAGESIZE)) / 2;
}

// Exactly the requested size, aligned as on a device, so that a sanitizer finds an access to the first byte after it.
// nullptr if there is not enough.
void* reserve(size_t bytes) {
  void* data = nullptr;
  if (!sparse()) {
    if (posix_memalign(&data, 256, bytes) != 0) return nullptr;
    std::memset(data, 0xff, bytes);
    return data;
  }
  data = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  return data == MAP_FAILED ? nullptr : data;
}

void release(void* data, size_t bytes) {
  if (sparse()) {
    munmap(data, bytes);
  } else {
    std::free(data);
  }
}

// The largest page-locked allocation: NEXTPATCH_SIMT_PINNED_BYTES, for testing what happens if there is not enough.
size_t host_block_bytes() {
  const char* const limit = std::getenv("NEXTPATCH_SIMT_PINNED_BYTES");
  return limit ? std::strtoull(limit, nullptr, 10) : SIZE_MAX;
}

}  // namespace

cudaError_t cudaMalloc(void** data, size_t bytes) {
  std::lock_guard<std::mutex> lock(mutex);
  *data = nullptr;
  if (const cudaError_t error = nextpatch::simt::refused_by_capture()) return error;
  if (const cudaError_t error = nextpatch::simt::fault()) return error;
  if (bytes > device_bytes() - allocated_bytes) return cudaErrorMemoryAllocation;
  if (bytes == 0) return cudaSuccess;
  *data = reserve(bytes);
  if (!*data) return cudaErrorMemoryAllocation;
  allocations[static_cast<const char*>(*data)] = {bytes, nextpatch::simt::current_device()};
  allocated_bytes += bytes;
  return cudaSuccess;
}

cudaError_t cudaFree(void* data) {
  if (!data) return cudaSuccess;
  if (const cudaError_t error = nextpatch::simt::refused_by_capture()) return error;
  nextpatch::simt::finish_copies();
  std::lock_guard<std::mutex> lock(mutex);
  const auto found = allocations.find(static_cast<const char*>(data));
  if (found == allocations.end()) return cudaErrorInvalidValue;
  const size_t bytes = found->second.bytes;
  allocated_bytes -= bytes;
  allocations.erase(found);
  release(data, bytes);
  return cudaSuccess;
}

cudaError_t cudaMemGetInfo(size_t* free_bytes, size_t* total_bytes) {
  std::lock_guard<std::mutex> lock(mutex);
  *total_bytes = device_bytes();
  *free_bytes = *total_bytes - allocated_bytes;
  return cudaSuccess;
}

cudaError_t cudaHostAlloc(void** data, size_t bytes, unsigned) {
  if (const cudaError_t error = nextpatch::simt::refused_by_capture()) return error;
  if (const cudaError_t error = nextpatch::simt::fault()) return error;
  std::lock_guard<std::mutex> lock(mutex);
  if (bytes > host_block_bytes() || posix_memalign(data, 256, bytes) != 0) return cudaErrorMemoryAllocation;
  host_blocks[static_cast<const char*>(*data)] = bytes;
  return cudaSuccess;
}
cudaError_t cudaMallocHost(void** data, size_t bytes) { return cudaHostAlloc(data, bytes, 0); }
cudaError_t cudaFreeHost(void* data) {
  if (!data) return cudaSuccess;
  if (const cudaError_t error = nextpatch::simt::refused_by_capture()) return error;
  nextpatch::simt::finish_copies();
  std::lock_guard<std::mutex> lock(mutex);
  if (host_blocks.erase(static_cast<const char*>(data)) == 0) return cudaErrorInvalidValue;
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
