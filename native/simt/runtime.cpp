// Devices, streams, events and graphs of the stand-in runtime.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "capability.h"
#include "devices.h"
#include "fault.h"
#include "graph.h"
#include "include/cuda_runtime.h"
#include "runner.h"

using nextpatch::simt::Frontier;
using nextpatch::simt::Work;
using nextpatch::simt::WorkGraph;

// A capture that is under way: begun on one stream, and joined by those that wait for an event recorded in it.
struct Capture {
  WorkGraph graph;
  CUstream_st* origin;
  std::set<CUstream_st*> streams;
  cudaStreamCaptureMode mode;
  std::thread::id thread;
};

struct CUgraph_st {
  WorkGraph graph;
};
struct CUgraphExec_st {
  WorkGraph graph;
};
struct CUstream_st {
  int device = nextpatch::simt::current_device();
  std::shared_ptr<Capture> capturing;
  Frontier frontier;                       // of the capture
  std::deque<std::function<void()>> late;  // copies or kernels, and what was enqueued behind them
  bool early = true;                       // whether the last copy from the host was
};

namespace {

// Guards the late work of all streams. A thread that waits for late work runs it; only the stream's own thread adds
// to it.
std::mutex late_mutex;

// Captures that are not relaxed.
std::mutex strict_mutex;
std::set<Capture*>& strict_captures() {
  static auto& captures = *new std::set<Capture*>;
  return captures;
}

std::set<CUstream_st*>& streams() {
  static auto& streams = *new std::set<CUstream_st*>;
  return streams;
}

void do_next(CUstream_st* stream) {
  const auto work = std::move(stream->late.front());
  stream->late.pop_front();
  work();
}

void finish(CUstream_st* stream) {
  std::lock_guard<std::mutex> lock(late_mutex);
  while (stream && !stream->late.empty()) do_next(stream);
}

// The point at which an event was recorded.
struct Point {
  CUstream_st* late_in = nullptr;  // the stream, while it has not reached the point
  std::chrono::steady_clock::time_point reached;
};

void reach(Point& point) {
  while (point.late_in) do_next(point.late_in);
}

}  // namespace

struct CUevent_st {
  explicit CUevent_st(bool timed) : timed(timed) {}
  int device = nextpatch::simt::current_device();
  bool timed;
  std::shared_ptr<Point> point;  // nullptr: never recorded
  // Last recorded in a capture, which may have ended: where in its graph.
  std::atomic<bool> captured{false};
  std::weak_ptr<Capture> capture;
  Frontier frontier;
};

namespace {

std::mutex error_mutex;
cudaError_t last_error = cudaSuccess;
std::string stopped;  // the kernel that was stopped last, and why

cudaError_t remember(cudaError_t error) {
  if (error != cudaSuccess) {
    std::lock_guard<std::mutex> lock(error_mutex);
    last_error = error;
  }
  return error;
}

// NEXTPATCH_SIMT_LATE=1: kernels and products too run only when somebody waits for them, so that what another stream
// does in the meantime, without having waited, shows. Whether a kernel fails is then not known when it is launched.
bool late_work() {
  static const bool is = std::getenv("NEXTPATCH_SIMT_LATE") != nullptr;
  return is;
}

// Whether a stream belongs to another device than the calling thread's.
bool foreign(cudaStream_t stream) { return stream && stream->device != nextpatch::simt::current_device(); }

// Whether an address is in another device's memory than the calling thread's.
bool foreign_memory(const void* address) {
  const int device = nextpatch::simt::device_of(address);
  return device >= 0 && device != nextpatch::simt::current_device();
}

}  // namespace

const char* cudaGetErrorString(cudaError_t error) {
  switch (error) {
    case cudaSuccess:
      return "no error";
    case cudaErrorInvalidValue:
      return "invalid argument";
    case cudaErrorMemoryAllocation:
      return "out of memory";
    case cudaErrorInvalidConfiguration:
      return "invalid configuration argument";
    case cudaErrorInsufficientDriver:
      return "CUDA driver version is insufficient for CUDA runtime version";
    case cudaErrorNoDevice:
      return "no CUDA-capable device is detected";
    case cudaErrorInvalidDevice:
      return "invalid device ordinal";
    case cudaErrorNotReady:
      return "device not ready";
    case cudaErrorStreamCaptureUnsupported:
      return "operation not permitted when stream is capturing";
    case cudaErrorInvalidResourceHandle:
      return "invalid resource handle";
    case cudaErrorStreamCaptureUnmatched:
      return "capture was not initiated in this stream";
    case cudaErrorStreamCaptureUnjoined:
      return "capturing stream has unjoined work";
    case cudaErrorStreamCaptureMerge:
      return "operation would result in a merge of separate capture sequences";
    case cudaErrorStreamCaptureIsolation:
      return "dependency created on uncaptured work in another stream";
    case cudaErrorCapturedEvent:
      return "operation not permitted on an event last recorded in a capturing stream";
    case cudaErrorLaunchFailure:
      return "the kernel that NEXTPATCH_SIMT_FAULT names";
    case cudaErrorUnknown:
      break;
  }
  // A copy for the calling thread, as another launch may fail in the meantime.
  thread_local std::string text;
  std::lock_guard<std::mutex> lock(error_mutex);
  text = stopped;
  return text.c_str();
}

cudaError_t cudaGetLastError() {
  std::lock_guard<std::mutex> lock(error_mutex);
  return std::exchange(last_error, cudaSuccess);
}

cudaError_t cudaGetDeviceCount(int* count) {
  *count = nextpatch::simt::device_count();
  return cudaSuccess;
}

cudaError_t cudaSetDevice(int device) {
  if (const cudaError_t error = nextpatch::simt::set_current_device(device)) return remember(error);
  return nextpatch::simt::fault();
}

cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int device) {
  if (device < 0 || device >= nextpatch::simt::device_count()) return remember(cudaErrorInvalidDevice);
  *properties = {};
  std::snprintf(properties->name, sizeof properties->name, "host (simt)");
  size_t free_bytes = 0;
  cudaMemGetInfo(&free_bytes, &properties->totalGlobalMem);
  const nextpatch::simt::Capability& capability = nextpatch::simt::capability();
  properties->major = capability.major;
  properties->minor = capability.minor;
  properties->sharedMemPerBlockOptin = capability.block_bytes;
  properties->sharedMemPerMultiprocessor = capability.multiprocessor_bytes;
  return cudaSuccess;
}

cudaError_t cudaRuntimeGetVersion(int* version) {
  *version = 12040;
  return cudaSuccess;
}
cudaError_t cudaDriverGetVersion(int* version) { return cudaRuntimeGetVersion(version); }

cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned) {
  *stream = new CUstream_st;
  std::lock_guard<std::mutex> lock(late_mutex);
  streams().insert(*stream);
  return cudaSuccess;
}
cudaError_t cudaStreamDestroy(cudaStream_t stream) {
  finish(stream);
  {
    std::lock_guard<std::mutex> lock(late_mutex);
    streams().erase(stream);
  }
  delete stream;
  return cudaSuccess;
}
cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
  if (stream && stream->capturing) return remember(cudaErrorStreamCaptureUnsupported);
  if (const cudaError_t error = nextpatch::simt::refused_by_capture()) return error;
  finish(stream);
  return cudaSuccess;
}
cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned) {
  if (const auto capture = event->capture.lock()) {
    // The wait forks the capture to this stream, or joins two of its streams.
    if (stream->capturing && stream->capturing != capture) return remember(cudaErrorStreamCaptureMerge);
    stream->capturing = capture;
    capture->streams.insert(stream);
    nextpatch::simt::join(stream->frontier, event->frontier);
    return cudaSuccess;
  }
  if (event->captured) return remember(cudaErrorCapturedEvent);
  if (stream && stream->capturing) return remember(cudaErrorStreamCaptureIsolation);
  std::lock_guard<std::mutex> lock(late_mutex);
  if (event->point && event->point->late_in) stream->late.push_back([point = event->point] { reach(*point); });
  return cudaSuccess;
}

cudaError_t cudaMemcpyAsync(void* to, const void* from, size_t bytes, cudaMemcpyKind kind, cudaStream_t stream) {
  using nextpatch::simt::page_locked;
  if (foreign(stream)) return remember(cudaErrorInvalidResourceHandle);
  if (foreign_memory(to) || foreign_memory(from)) return remember(cudaErrorInvalidValue);
  bool late = stream && !stream->capturing &&
              ((kind == cudaMemcpyHostToDevice && page_locked(from)) ||
               (kind == cudaMemcpyDeviceToHost && page_locked(to)) || kind == cudaMemcpyDeviceToDevice);
  if (late && kind == cudaMemcpyHostToDevice) late = std::exchange(stream->early, !stream->early);
  if (late && nextpatch::simt::fault() == cudaSuccess) {
    std::lock_guard<std::mutex> lock(late_mutex);
    stream->late.push_back([=] { std::memmove(to, from, bytes); });
    return cudaSuccess;
  }
  return nextpatch::simt::enqueue_now(stream, [=] {
    std::memmove(to, from, bytes);
    return cudaSuccess;
  });
}
cudaError_t cudaMemsetAsync(void* data, int value, size_t bytes, cudaStream_t stream) {
  if (foreign_memory(data)) return remember(cudaErrorInvalidValue);
  return nextpatch::simt::enqueue(stream, [=] {
    std::memset(data, value, bytes);
    return cudaSuccess;
  });
}

cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned flags) {
  *event = new CUevent_st((flags & cudaEventDisableTiming) == 0);
  return cudaSuccess;
}
cudaError_t cudaEventCreate(cudaEvent_t* event) { return cudaEventCreateWithFlags(event, 0); }
cudaError_t cudaEventDestroy(cudaEvent_t event) {
  delete event;
  return cudaSuccess;
}
cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
  return cudaEventRecordWithFlags(event, stream, cudaEventRecordDefault);
}
// As on a device: outside of a capture an external record is an error, and within one any other record marks a
// place in the graph only, without a time.
cudaError_t cudaEventRecordWithFlags(cudaEvent_t event, cudaStream_t stream, unsigned flags) {
  if (stream && stream->device != event->device) return remember(cudaErrorInvalidResourceHandle);
  const bool capturing = stream && stream->capturing, external = flags == cudaEventRecordExternal;
  if (external && !capturing) return remember(cudaErrorInvalidValue);
  if (capturing && !external) {
    event->captured = true;
    event->capture = stream->capturing;
    event->frontier = stream->frontier;
    return cudaSuccess;
  }
  event->captured = false;
  event->capture.reset();
  if (const cudaError_t error = nextpatch::simt::fault()) return remember(error);
  const auto come_by = [event](CUstream_st* late_in) {
    event->point = std::make_shared<Point>(Point{late_in, std::chrono::steady_clock::now()});
  };
  std::lock_guard<std::mutex> lock(late_mutex);
  if (capturing) {
    const auto mark = [come_by] {
      std::lock_guard<std::mutex> lock(late_mutex);
      come_by(nullptr);
      return cudaSuccess;
    };
    stream->capturing->graph.append(mark, stream->frontier);
  } else if (stream && !stream->late.empty()) {
    come_by(stream);
    stream->late.push_back([point = event->point] { *point = {nullptr, std::chrono::steady_clock::now()}; });
  } else {
    come_by(nullptr);
  }
  return cudaSuccess;
}
cudaError_t cudaEventSynchronize(cudaEvent_t event) {
  if (event->captured) return remember(cudaErrorCapturedEvent);
  if (const cudaError_t error = nextpatch::simt::refused_by_capture()) return error;
  std::lock_guard<std::mutex> lock(late_mutex);
  if (event->point) reach(*event->point);
  return nextpatch::simt::fault();
}
cudaError_t cudaEventElapsedTime(float* milliseconds, cudaEvent_t start, cudaEvent_t end) {
  std::lock_guard<std::mutex> lock(late_mutex);
  for (const cudaEvent_t event : {start, end})
    if (event->captured) return remember(cudaErrorCapturedEvent);
  for (const cudaEvent_t event : {start, end})
    if (!event->timed || !event->point) return remember(cudaErrorInvalidResourceHandle);
  for (const cudaEvent_t event : {start, end})
    if (event->point->late_in) return remember(cudaErrorNotReady);
  *milliseconds = std::chrono::duration<float, std::milli>(end->point->reached - start->point->reached).count();
  return cudaSuccess;
}

cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode mode) {
  if (foreign(stream)) return remember(cudaErrorInvalidResourceHandle);
  if (!stream || stream->capturing) return remember(cudaErrorStreamCaptureUnsupported);
  stream->capturing = std::make_shared<Capture>(Capture{{}, stream, {stream}, mode, std::this_thread::get_id()});
  if (mode == cudaStreamCaptureModeRelaxed) return cudaSuccess;
  std::lock_guard<std::mutex> lock(strict_mutex);
  strict_captures().insert(stream->capturing.get());
  return cudaSuccess;
}
cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t* graph) {
  if (!stream || !stream->capturing) return remember(cudaErrorInvalidValue);
  const std::shared_ptr<Capture> capture = stream->capturing;
  if (stream != capture->origin) return remember(cudaErrorStreamCaptureUnmatched);
  {
    std::lock_guard<std::mutex> lock(strict_mutex);
    strict_captures().erase(capture.get());
  }
  const bool joined = capture->graph.all_before(stream->frontier);
  for (CUstream_st* captured : capture->streams) {
    captured->capturing.reset();
    captured->frontier.clear();
  }
  *graph = nullptr;
  if (!joined) return remember(cudaErrorStreamCaptureUnjoined);
  *graph = new CUgraph_st{std::move(capture->graph)};
  return cudaSuccess;
}
cudaError_t cudaGraphInstantiate(cudaGraphExec_t* executable, cudaGraph_t graph, unsigned long long) {
  *executable = new CUgraphExec_st{graph->graph};
  return cudaSuccess;
}
cudaError_t cudaGraphLaunch(cudaGraphExec_t executable, cudaStream_t stream) {
  if (foreign(stream)) return remember(cudaErrorInvalidResourceHandle);
  if (stream && stream->capturing) return remember(cudaErrorStreamCaptureUnsupported);
  if (const cudaError_t error = nextpatch::simt::fault()) return remember(error);
  finish(stream);
  return remember(executable->graph.run());
}
cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
  delete graph;
  return cudaSuccess;
}
cudaError_t cudaGraphExecDestroy(cudaGraphExec_t executable) {
  delete executable;
  return cudaSuccess;
}

namespace nextpatch::simt {

void finish_copies() {
  std::lock_guard<std::mutex> lock(late_mutex);
  for (CUstream_st* stream : streams())
    while (!stream->late.empty()) do_next(stream);
}

cudaError_t refused_by_capture() {
  std::lock_guard<std::mutex> lock(strict_mutex);
  for (const Capture* capture : strict_captures())
    if (capture->mode == cudaStreamCaptureModeGlobal || capture->thread == std::this_thread::get_id())
      return remember(cudaErrorStreamCaptureUnsupported);
  return cudaSuccess;
}

cudaError_t enqueue_now(cudaStream_t stream, Work work) {
  if (foreign(stream)) return remember(cudaErrorInvalidResourceHandle);
  if (const cudaError_t error = fault()) return remember(error);
  if (stream && stream->capturing) {
    stream->capturing->graph.append(std::move(work), stream->frontier);
    return cudaSuccess;
  }
  finish(stream);
  return remember(work());
}

cudaError_t enqueue(cudaStream_t stream, Work work) {
  if (!late_work() || !stream || stream->capturing || foreign(stream) || fault() != cudaSuccess)
    return enqueue_now(stream, std::move(work));
  std::lock_guard<std::mutex> lock(late_mutex);
  stream->late.push_back([work = std::move(work)] { remember(work()); });
  return cudaSuccess;
}

bool capturing(cudaStream_t stream) { return stream && stream->capturing; }

cudaError_t check_opt_in(size_t shared_bytes) {
  return shared_bytes <= capability().block_bytes ? cudaSuccess : remember(cudaErrorInvalidValue);
}

cudaError_t enqueue_kernel(KernelRecord& kernel, dim3 grid, dim3 block, size_t shared_bytes, size_t opted_in,
                           cudaStream_t stream, std::function<void()> thread) {
  const uint64_t threads = uint64_t(block.x) * block.y * block.z;
  const bool grid_fits =
      grid.x > 0 && grid.x <= 0x7fffffffu && grid.y > 0 && grid.y <= 65535 && grid.z > 0 && grid.z <= 65535;
  if (!grid_fits || threads == 0 || threads > 1024 || block.z > 64) return remember(cudaErrorInvalidConfiguration);
  if (shared_bytes > std::max(kSharedBytesDefault, opted_in)) return remember(cudaErrorInvalidValue);
  return enqueue(stream, [&kernel, grid, block, shared_bytes, thread = std::move(thread)] {
    ++kernel.launches;
    if (fault() != cudaSuccess || faults_now()) return cudaSuccess;
    const std::string problem = run_grid(kernel.name.c_str(), grid, block, shared_bytes, thread);
    if (problem.empty()) return cudaSuccess;
    std::lock_guard<std::mutex> lock(error_mutex);
    stopped = problem;
    return cudaErrorUnknown;
  });
}

}  // namespace nextpatch::simt
