#include "nccl_collectives.h"

#include <chrono>
#include <utility>

#include "../core/host_name.h"
#include "check.h"

namespace nextpatch::cuda {
namespace {

// Between two looks for errors.
constexpr auto kPause = std::chrono::milliseconds(100);
// So long what runs on the device has to see that it was aborted.
constexpr auto kAbortGrace = std::chrono::milliseconds(100);

size_t bytes_of(const View& view) { return size_t(view.size()) * size_of(view.dtype); }

}  // namespace

NcclCollectives::Owned::~Owned() {
  if (data && cudaFree(data) != cudaSuccess) cudaGetLastError();
}

NcclCollectives::NcclCollectives(Rendezvous& ranks, cudaStream_t stream)
    : api_(nccl()), place_{ranks.rank(), ranks.size(), host_name()}, stream_(stream) {
  cuda::check(cudaMalloc(&owned_.data, sizeof(float)), "Ranks.join");
  if (place_.rank == 0) require(api_.GetUniqueId(&id_), "Ranks.join");
  ranks.broadcast(&id_, sizeof id_);
}

void NcclCollectives::open() {
  nc::Communicator opened = nullptr;
  require(api_.CommInitRank(&opened, place_.size, id_, place_.rank), "Ranks.join");
  std::lock_guard<std::mutex> lock(mutex_);
  communicator_ = opened;
  watcher_ = std::thread([this] { watch(); });
}

NcclCollectives::~NcclCollectives() {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    ending_ = true;
  }
  ends_.notify_all();
  if (watcher_.joinable()) watcher_.join();
}

Progress NcclCollectives::progress() const {
  Progress seen = progress_.seen();
  std::lock_guard<std::mutex> lock(mutex_);
  seen.waits = seen.waits && communicator_;
  return seen;
}

template <typename Part>
void NcclCollectives::enqueue(const char* operation, Part part) {
  const nc::Communicator to = communicator(operation);
  progress_.begin(stream_);
  require(part(to), operation);
  progress_.end(stream_);
}

void NcclCollectives::reduce_scatter(const View& out, const View& in) {
  enqueue("Ranks.reduceScatter", [&](nc::Communicator to) {
    return api_.ReduceScatter(in.data, out.data, size_t(out.size()), nc::kFloat32, nc::kSum, to, stream_);
  });
  count(bytes_of(out) * uint64_t(place_.size - 1));
}

void NcclCollectives::all_gather(const View& out, const View& in) {
  enqueue("Ranks.allGather", [&](nc::Communicator to) {
    // Bytes, whatever they mean.
    return api_.AllGather(in.data, out.data, bytes_of(in), nc::kInt8, to, stream_);
  });
  count(bytes_of(in) * uint64_t(place_.size - 1));
}

void NcclCollectives::all_reduce(const View& values) {
  enqueue("Ranks.allReduce", [&](nc::Communicator to) {
    return api_.AllReduce(values.data, values.data, size_t(values.size()), nc::kFloat32, nc::kSum, to, stream_);
  });
  count(2 * bytes_of(values) * uint64_t(place_.size - 1) / uint64_t(place_.size));
}

void NcclCollectives::leave() {
  const nc::Communicator to = communicator("Ranks.leave");
  // No rank is through with it before all have begun it.
  require(api_.AllReduce(owned_.data, owned_.data, 1, nc::kFloat32, nc::kSum, to, stream_), "Ranks.leave");
  cuda::check(cudaStreamSynchronize(stream_), "Ranks.leave");
  {
    std::lock_guard<std::mutex> lock(mutex_);
    if (failed_) throw Error(ErrorKind::device, problem_);
    communicator_ = nullptr;
    problem_ = "this rank has left";
  }
  // NCCL waits until all graphs with its operations are gone, and those that are left may stay to the process's end.
  if (recorded_.empty()) require(api_.CommDestroy(to), "Ranks.leave");
}

void NcclCollectives::end_recording(const void* graph) {
  recording_ = false;
  if (const uint64_t bytes = std::exchange(recorded_bytes_, 0); graph && bytes > 0) recorded_[graph] = bytes;
}

void NcclCollectives::launched(const void* graph) {
  if (const auto found = recorded_.find(graph); found != recorded_.end()) sent_ += found->second;
}

void NcclCollectives::count(uint64_t bytes) {
  if (recording_) {
    recorded_bytes_ += bytes;
  } else {
    sent_ += bytes;
  }
}

nc::Communicator NcclCollectives::communicator(const char* operation) const {
  std::lock_guard<std::mutex> lock(mutex_);
  if (!communicator_) throw Error(ErrorKind::device, std::string(operation) + ": not possible: " + problem_);
  return communicator_;
}

std::string NcclCollectives::text_of(nc::Result result) const {
  std::string text = "rank " + std::to_string(place_.rank) + " of " + std::to_string(place_.size) + " (" + place_.host +
                     "): " + api_.name + ": " + api_.GetErrorString(result);
  const char* const last = api_.GetLastError(nullptr);
  return last && *last ? text + ": " + last : text;
}

void NcclCollectives::require(nc::Result result, const char* operation) {
  if (result == nc::kSuccess) return;
  const std::string why = text_of(result);
  abort(why);
  throw Error(ErrorKind::device, std::string(operation) + ": " + why);
}

void NcclCollectives::check() const {
  std::lock_guard<std::mutex> lock(mutex_);
  if (failed_) throw Error(ErrorKind::device, problem_);
}

void NcclCollectives::abort(const std::string& why) {
  std::lock_guard<std::mutex> lock(mutex_);
  abort_locked(why);
}

void NcclCollectives::abort_locked(const std::string& why) {
  const nc::Communicator ended = std::exchange(communicator_, nullptr);
  if (!ended) return;
  problem_ = why;
  failed_ = true;
  // What runs ends at once; then it waits for graphs, which may never be destroyed.
  std::thread([&api = api_, ended] { api.CommAbort(ended); }).detach();
}

void NcclCollectives::abandon() {
  // Never unlocked: who waits for what is ended here neither goes on with its values nor tells of an error.
  mutex_.lock();
  abort_locked("this rank is ending");
  std::this_thread::sleep_for(kAbortGrace);
}

void NcclCollectives::watch() {
  std::unique_lock<std::mutex> lock(mutex_);
  while (!ending_ && communicator_) {
    nc::Result error = nc::kSuccess;
    api_.CommGetAsyncError(communicator_, &error);
    if (error != nc::kSuccess && error != nc::kInProgress) {
      const std::string why = text_of(error);
      lock.unlock();
      abort(why);
      return;
    }
    ends_.wait_for(lock, kPause);
  }
}

}  // namespace nextpatch::cuda
