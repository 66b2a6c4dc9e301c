// An NCCL between simulated devices, of one process or of several, that believes nothing. An unknown id, a device with
// two communicators, another device's memory or the host's, another stream than before, a first operation that is
// captured, another call than the other ranks', blocks that overlap but for those in place, or a communicator that is
// destroyed while a graph has its operations, or used after it, are each an error. Built as a library and opened
// through NEXTPATCH_NCCL, so that the code that looks for the real one is tested too.
//
// Sums begin at the rank behind the block's own, as in a ring: they have other bits than those in the order of the
// ranks.
#include <dlfcn.h>
#include <fcntl.h>
#include <link.h>
#include <sched.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <mutex>
#include <set>

#include "../../../cuda/nccl.h"
#include "../../guest.h"

using namespace nextpatch::cuda::nc;

namespace {

constexpr Result kSystemError = Result(2), kInvalidArgument = Result(4), kInvalidUsage = Result(5);
constexpr int kMostRanks = 8;
constexpr size_t kSlot = 1 << 16;
constexpr char kMagic[] = "fake NCCL";

enum Kind : uint64_t { kReduceScatter, kAllGather, kAllReduce };
struct Call {
  uint64_t kind, bytes;
  bool operator==(const Call& other) const { return kind == other.kind && bytes == other.bytes; }
};

// What the ranks share: a file that has no name any more once all have it.
struct Shared {
  std::atomic<int> joined, arrived, generation;
  Call calls[kMostRanks];
  alignas(16) char slots[kMostRanks][kSlot];
};

struct Id {
  char magic[sizeof kMagic];
  char path[sizeof(UniqueId) - sizeof kMagic];
};
static_assert(sizeof(Id) == sizeof(UniqueId));

std::atomic<const char*> last_error{""};

Result refuse(const char* why, Result result = kInvalidUsage) {
  std::fprintf(stderr, "fake NCCL: %s\n", why);
  last_error = why;
  return result;
}

// The runtime's part: the test program's own, or that of the library that opened this one, which keeps its symbols to
// itself.
const nextpatch::simt::Host& host() {
  using Find = const nextpatch::simt::Host* (*)();
  static const nextpatch::simt::Host* const found = [] {
    void* symbol = dlsym(RTLD_DEFAULT, "nextpatch_simt_host");
    const auto visit = [](dl_phdr_info* info, size_t, void* result) {
      if (!std::strstr(info->dlpi_name, "nextpatch_simt.so")) return 0;
      void* const library = dlopen(info->dlpi_name, RTLD_NOW | RTLD_NOLOAD);
      *static_cast<void**>(result) = library ? dlsym(library, "nextpatch_simt_host") : nullptr;
      return 1;
    };
    if (!symbol) dl_iterate_phdr(visit, &symbol);
    if (!symbol) {
      std::fprintf(stderr, "fake NCCL: there is no simulated device\n");
      std::abort();
    }
    return reinterpret_cast<Find>(symbol)();
  }();
  return *found;
}

}  // namespace

struct nextpatch::cuda::nc::CommunicatorOpaque {
  int rank, ranks, device;
  Shared* shared;
  cudaStream_t stream = nullptr;
  bool connected = false;
  // Copied into everything that a graph keeps.
  std::shared_ptr<int> recorded = std::make_shared<int>();
  std::atomic<bool> aborted{false};
  std::atomic<Result> error{kSuccess};

  // Waits for all ranks; false: this one's communicator was aborted meanwhile. Others wait on, as on a device.
  bool meet() {
    const int generation = shared->generation;
    if (++shared->arrived == ranks) {
      shared->arrived = 0;
      ++shared->generation;
      return true;
    }
    for (int looks = 0; shared->generation == generation; ++looks) {
      if (aborted) return false;
      if (looks > 1000) usleep(50);
      sched_yield();
    }
    return true;
  }

  // Sums a piece of all ranks' slots, from `offset` floats on.
  void sum(float* out, size_t offset, size_t count, int first) const {
    const auto slot = [&](int step) {
      return reinterpret_cast<const float*>(shared->slots[(first + step) % ranks]) + offset;
    };
    for (size_t i = 0; i < count; ++i) {
      float total = slot(0)[i];
      for (int step = 1; step < ranks; ++step) total += slot(step)[i];
      out[i] = total;
    }
  }

  void run(Call call, const void* in, void* out) {
    if (aborted) return;
    shared->calls[rank] = call;
    if (!meet()) return;
    for (int other = 0; other < ranks; ++other)
      if (!(shared->calls[other] == call)) error = refuse("the ranks' calls differ");
    if (!meet() || error != kSuccess) return;
    const char* const from = static_cast<const char*>(in);
    char* const to = static_cast<char*>(out);
    char* const own = shared->slots[rank];
    const size_t blocks = call.kind == kReduceScatter ? size_t(ranks) : 1;
    const size_t piece = kSlot / blocks / 16 * 16;
    for (size_t at = 0; at < call.bytes; at += piece) {
      const size_t bytes = std::min(piece, call.bytes - at);
      for (size_t block = 0; block < blocks; ++block)
        std::memcpy(own + block * piece, from + block * call.bytes + at, bytes);
      if (!meet()) return;
      float* const sums = reinterpret_cast<float*>(to + at);
      if (call.kind == kReduceScatter) sum(sums, size_t(rank) * piece / 4, bytes / 4, rank + 1);
      if (call.kind == kAllReduce) sum(sums, 0, bytes / 4, 1);
      if (call.kind == kAllGather)
        for (int other = 0; other < ranks; ++other)
          std::memcpy(to + size_t(other) * call.bytes + at, shared->slots[other], bytes);
      if (!meet()) return;
    }
  }
};

namespace {

std::mutex mutex;
std::set<Communicator>& live() {
  static auto& live = *new std::set<Communicator>;
  return live;
}

bool has_communicator(int device) {
  std::lock_guard<std::mutex> lock(mutex);
  return std::any_of(live().begin(), live().end(), [&](Communicator all) { return all->device == device; });
}

// `bytes` of a block, or of what is reduced. The large tensor has one for each rank.
Result enqueue(Communicator all, Kind kind, size_t bytes, const void* in, void* out, cudaStream_t stream) {
  {
    std::lock_guard<std::mutex> lock(mutex);
    if (live().count(all) == 0) return refuse("a communicator that is not one, or not any more");
  }
  if (host().current_device() != all->device)
    return refuse("another device is current than at the communicator's begin");
  if (!stream || (all->stream && all->stream != stream)) return refuse("another stream than before");
  all->stream = stream;
  const bool capturing = host().capturing(stream);
  if (capturing && !all->connected) return refuse("the first operation, which connects the ranks, is captured");
  all->connected = true;
  const char* const from = static_cast<const char*>(in);
  const char* const to = static_cast<const char*>(out);
  const size_t in_bytes = kind == kReduceScatter ? bytes * size_t(all->ranks) : bytes;
  const size_t out_bytes = kind == kAllGather ? bytes * size_t(all->ranks) : bytes;
  for (const char* const byte : {from, from + in_bytes - 1, to, to + out_bytes - 1})
    if (host().device_of(byte) != all->device) return refuse("memory that is not the device's");
  const bool overlap = from < to + out_bytes && to < from + in_bytes;
  const size_t own = size_t(all->rank) * bytes;
  const bool in_place = kind == kAllReduce ? from == to : kind == kAllGather ? from == to + own : to == from + own;
  if (overlap && !in_place) return refuse("tensors that overlap, but not in place");
  const Call call{kind, bytes};
  const auto work = [all, call, in, out, recorded = capturing ? all->recorded : nullptr] {
    all->run(call, in, out);
    return cudaSuccess;
  };
  return host().enqueue(stream, work) == cudaSuccess ? kSuccess : refuse("the device failed", Result(1));
}

Result end(Communicator all) {
  std::lock_guard<std::mutex> lock(mutex);
  return live().erase(all) == 1 ? kSuccess : refuse("a communicator that has ended already");
}

}  // namespace

extern "C" {

Result ncclGetVersion(int* version) {
  const char* const set = std::getenv("FAKE_NCCL_VERSION");
  *version = set ? std::atoi(set) : 22703;
  return kSuccess;
}
const char* ncclGetErrorString(Result result) {
  return result == kSuccess ? "no error" : result == kInvalidUsage ? "invalid usage" : "unhandled error";
}
const char* ncclGetLastError(Communicator) { return last_error; }

Result ncclGetUniqueId(UniqueId* id) {
  Id made{};
  std::memcpy(made.magic, kMagic, sizeof kMagic);
  std::strcpy(made.path, "/dev/shm/nextpatch-fake-nccl-XXXXXX");
  const int file = mkostemp(made.path, O_CLOEXEC);
  if (file < 0 || ftruncate(file, sizeof(Shared)) != 0) return refuse("no shared memory", kSystemError);
  close(file);
  std::memcpy(id, &made, sizeof made);
  return kSuccess;
}

Result ncclCommInitRank(Communicator* all, int ranks, UniqueId id, int rank) {
  Id given;
  std::memcpy(&given, &id, sizeof given);
  if (std::memcmp(given.magic, kMagic, sizeof kMagic) != 0) return refuse("no id of ncclGetUniqueId", kInvalidArgument);
  if (ranks < 1 || ranks > kMostRanks || rank < 0 || rank >= ranks) return refuse("no rank", kInvalidArgument);
  const char* const nvls = std::getenv("NCCL_NVLS_ENABLE");
  if (!nvls || std::strcmp(nvls, "0") != 0) return refuse("NVLS is on");
  if (std::getenv("FAKE_NCCL_KILLS")) std::raise(SIGKILL);
  const int device = host().current_device();
  const int file = open(given.path, O_RDWR | O_CLOEXEC);
  void* const data = file < 0 ? MAP_FAILED : mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  if (file >= 0) close(file);
  if (data == MAP_FAILED) return refuse("an id that was used", kInvalidArgument);
  Shared* const shared = static_cast<Shared*>(data);
  if (++shared->joined == ranks) unlink(given.path);
  // One that is being aborted is soon gone.
  for (int looks = 0; has_communicator(device); ++looks) {
    if (looks == 50) return refuse("the device has a communicator");
    usleep(10'000);
  }
  *all = new CommunicatorOpaque{rank, ranks, device, shared};
  while (shared->joined < ranks) usleep(100);
  std::lock_guard<std::mutex> lock(mutex);
  live().insert(*all);
  return kSuccess;
}

Result ncclCommDestroy(Communicator all) {
  if (const Result ended = end(all); ended != kSuccess) return ended;
  if (all->recorded.use_count() > 1) return refuse("a graph has operations of the communicator that is destroyed");
  munmap(all->shared, sizeof(Shared));
  delete all;
  return kSuccess;
}

// Keeps the memory, which operations may be in.
Result ncclCommAbort(Communicator all) {
  all->aborted = true;
  return end(all);
}

Result ncclCommGetAsyncError(Communicator all, Result* error) {
  *error = all->error;
  return kSuccess;
}

Result ncclReduceScatter(const void* in, void* out, size_t count, DataType type, Reduction how, Communicator all,
                         cudaStream_t stream) {
  if (type != kFloat32 || how != kSum) return refuse("a reduction other than a sum in f32");
  return enqueue(all, kReduceScatter, count * sizeof(float), in, out, stream);
}
Result ncclAllReduce(const void* in, void* out, size_t count, DataType type, Reduction how, Communicator all,
                     cudaStream_t stream) {
  if (type != kFloat32 || how != kSum) return refuse("a reduction other than a sum in f32");
  return enqueue(all, kAllReduce, count * sizeof(float), in, out, stream);
}
Result ncclAllGather(const void* in, void* out, size_t count, DataType type, Communicator all, cudaStream_t stream) {
  return enqueue(all, kAllGather, count * (type == kInt8 ? 1 : 4), in, out, stream);
}

}  // extern "C"
