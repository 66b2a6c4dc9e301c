// The stand-in for the CUDA runtime: launch limits, streams, graphs, memory, the list of kernels.
#include <cstdlib>
#include <thread>

#include "check.h"
#include "launch.h"

namespace nextpatch::simt {
namespace {

__global__ void add_kernel(float* x, float value) { x[threadIdx.x] += value; }
__global__ void never_launched_kernel(float*) {}

const KernelRecord* find_kernel(const std::string& name) {
  for (const KernelRecord* kernel = first_kernel(); kernel; kernel = kernel->next)
    if (kernel->name == name) return kernel;
  return nullptr;
}

// Compiled, never called.
[[maybe_unused]] std::string launch_never() { return problem<never_launched_kernel>(1, 1, 0, nullptr); }

TEST(kernels_are_listed_and_counted) {
  const KernelRecord* const never = find_kernel("never_launched_kernel");
  const KernelRecord* const add = find_kernel("add_kernel");
  EXPECT(never && never->launches == 0);
  EXPECT(add != nullptr);
  if (!add) return;
  const int64_t before = add->launches;
  float x = 0;
  EXPECT(problem<add_kernel>(1, 1, 0, &x, 1).empty());
  EXPECT(add->launches == before + 1);
}

__global__ void __launch_bounds__(1024) nothing_kernel() {}

TEST(launch_limits) {
  EXPECT(problem<nothing_kernel>(1, 1024, 227 * 1024).empty());  // opted in by the launch helper
  EXPECT_CONTAINS(problem<nothing_kernel>(1, 32, 227 * 1024 + 1), "invalid argument");
  EXPECT_CONTAINS(problem<nothing_kernel>(1, 1025, 0), "invalid configuration");
  EXPECT_CONTAINS(problem<nothing_kernel>({1, 65536, 1}, 32, 0), "invalid configuration");
  EXPECT(problem<nothing_kernel>(0, 32, 0).empty());  // no work
  // Without the opt-in:
  static KernelRecord record("plain");  // listed until the process ends, like any record
  const auto launch = [&](size_t bytes) { return enqueue_kernel(record, 1, 32, bytes, 0, nullptr, [] {}); };
  EXPECT(launch(48 * 1024) == cudaSuccess);
  EXPECT(launch(48 * 1024 + 1) == cudaErrorInvalidValue);
  static_cast<void>(cudaGetLastError());
}

TEST(copies_are_as_late_as_those_who_wait_for_them_allow) {
  cudaStream_t compute = nullptr, copies = nullptr;
  cudaEvent_t arrived = nullptr, done = nullptr;
  for (cudaStream_t* stream : {&compute, &copies})
    EXPECT(cudaStreamCreateWithFlags(stream, cudaStreamNonBlocking) == cudaSuccess);
  for (cudaEvent_t* event : {&arrived, &done})
    EXPECT(cudaEventCreateWithFlags(event, cudaEventDisableTiming) == cudaSuccess);
  void *host = nullptr, *result = nullptr, *device = nullptr;
  for (void** data : {&host, &result}) EXPECT(cudaMallocHost(data, sizeof(float)) == cudaSuccess);
  *static_cast<float*>(result) = 0;
  EXPECT(cudaMalloc(&device, sizeof(float)) == cudaSuccess);
  float &from = *static_cast<float*>(host), &to = *static_cast<float*>(device);
  const auto send = [&](float value, cudaStream_t stream) {
    from = value;
    EXPECT(cudaMemcpyAsync(device, host, sizeof(float), cudaMemcpyHostToDevice, stream) == cudaSuccess);
  };

  send(1, copies);
  EXPECT(cudaEventRecord(arrived, copies) == cudaSuccess);
  EXPECT(cudaStreamWaitEvent(compute, arrived, 0) == cudaSuccess);
  EXPECT(to != 1);  // nothing needs it yet
  cuda::launch<add_kernel>("test", {1, 1, 0, compute}, &to, 10.0f);
  EXPECT(to == 11);

  send(2, copies);
  EXPECT(to == 2);  // an early copy, with nothing to wait for

  send(3, copies);
  cuda::launch<add_kernel>("test", {1, 1, 0, compute}, &to, 10.0f);
  EXPECT(to == 12);  // the wait is missing
  EXPECT(cudaStreamSynchronize(copies) == cudaSuccess && to == 3);

  // Back and forth: an early copy waits for the other stream's work so far, which waits for a late copy.
  send(4, copies);
  send(5, copies);
  EXPECT(cudaEventRecord(arrived, copies) == cudaSuccess && cudaStreamWaitEvent(compute, arrived, 0) == cudaSuccess);
  EXPECT(cudaMemcpyAsync(result, device, sizeof(float), cudaMemcpyDeviceToHost, compute) == cudaSuccess);
  EXPECT(cudaEventRecord(done, compute) == cudaSuccess && cudaStreamWaitEvent(copies, done, 0) == cudaSuccess);
  EXPECT(*static_cast<float*>(result) == 0 && to == 4);
  send(6, copies);
  EXPECT(*static_cast<float*>(result) == 6);  // the 5 was overwritten on the host
  EXPECT(cudaEventSynchronize(done) == cudaSuccess && to == 6);
  EXPECT(cudaFreeHost(result) == cudaSuccess);
  EXPECT(cudaFreeHost(host) == cudaSuccess);
  EXPECT(cudaFree(device) == cudaSuccess);

  // Host memory that is not page-locked is copied at once.
  float pageable = 7, copy = 0;
  EXPECT(cudaMemcpyAsync(&copy, &pageable, sizeof(float), cudaMemcpyDeviceToHost, compute) == cudaSuccess);
  EXPECT(copy == 7);
  for (cudaEvent_t event : {arrived, done}) EXPECT(cudaEventDestroy(event) == cudaSuccess);
  for (cudaStream_t stream : {compute, copies}) EXPECT(cudaStreamDestroy(stream) == cudaSuccess);
}

TEST(graphs_record_and_replay) {
  cudaStream_t stream = nullptr;
  EXPECT(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking) == cudaSuccess);
  float x[4] = {}, copy[4] = {};
  EXPECT(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal) == cudaSuccess);
  cuda::launch<add_kernel>("test", {1, 4, 0, stream}, &x[0], 2.0f);
  EXPECT(cudaMemcpyAsync(copy, x, sizeof x, cudaMemcpyDefault, stream) == cudaSuccess);
  EXPECT(cudaMemsetAsync(x, 0, 4, stream) == cudaSuccess);
  EXPECT(cudaStreamSynchronize(stream) == cudaErrorStreamCaptureUnsupported);
  cudaGraph_t graph = nullptr;
  EXPECT(cudaStreamEndCapture(stream, &graph) == cudaSuccess);
  EXPECT(x[0] == 0 && copy[0] == 0);  // recorded, not run
  cudaGraphExec_t executable = nullptr;
  EXPECT(cudaGraphInstantiate(&executable, graph, 0) == cudaSuccess);
  EXPECT(cudaGraphDestroy(graph) == cudaSuccess);
  for (int i = 1; i <= 3; ++i) {
    EXPECT(cudaGraphLaunch(executable, stream) == cudaSuccess);
    EXPECT(x[0] == 0 && copy[0] == 2);  // the memset comes last
    EXPECT(x[1] == float(2 * i) && copy[1] == float(2 * i));
  }
  EXPECT(cudaGraphExecDestroy(executable) == cudaSuccess);
  EXPECT(cudaStreamDestroy(stream) == cudaSuccess);
}

// A stream that waits for an event of a capture takes part in it, and what it is given then is replayed.
TEST(captures_fork_and_join) {
  cudaStream_t origin = nullptr, other = nullptr;
  cudaEvent_t forked = nullptr, joined = nullptr;
  for (cudaStream_t* stream : {&origin, &other}) cudaStreamCreateWithFlags(stream, cudaStreamNonBlocking);
  for (cudaEvent_t* event : {&forked, &joined}) cudaEventCreateWithFlags(event, cudaEventDisableTiming);
  unsigned char x[3] = {};
  // x[0] and x[1] are set side by side, x[2] is copied from x[1] behind the join.
  const auto capture = [&](bool fork, bool join, cudaGraph_t* graph) {
    EXPECT(cudaStreamBeginCapture(origin, cudaStreamCaptureModeRelaxed) == cudaSuccess);
    if (fork) {
      EXPECT(cudaEventRecord(forked, origin) == cudaSuccess);
      EXPECT(cudaStreamWaitEvent(other, forked) == cudaSuccess);
    }
    EXPECT(cudaMemsetAsync(&x[0], 7, 1, origin) == cudaSuccess);
    EXPECT(cudaMemsetAsync(&x[1], 9, 1, other) == cudaSuccess);
    if (join) {
      EXPECT(cudaEventRecord(joined, other) == cudaSuccess);
      EXPECT(cudaStreamWaitEvent(origin, joined) == cudaSuccess);
    }
    EXPECT(cudaMemcpyAsync(&x[2], &x[1], 1, cudaMemcpyDeviceToDevice, origin) == cudaSuccess);
    return cudaStreamEndCapture(origin, graph);
  };
  cudaGraph_t graph = nullptr;
  EXPECT(capture(true, true, &graph) == cudaSuccess);
  EXPECT(x[0] == 0 && x[1] == 0);
  cudaGraphExec_t executable = nullptr;
  cudaGraphInstantiate(&executable, graph, 0);
  for (const char* schedule : {"forward", "reverse", "random:1", "random:2"}) {
    Schedule parsed;
    parse_schedule(schedule, &parsed);
    set_schedule(parsed);
    x[0] = x[1] = x[2] = 0;
    EXPECT(cudaGraphLaunch(executable, origin) == cudaSuccess);
    EXPECT(x[0] == 7 && x[1] == 9 && x[2] == 9);
  }
  set_schedule({});
  cudaGraphExecDestroy(executable);
  cudaGraphDestroy(graph);
  // Both streams are out of the capture.
  EXPECT(cudaMemsetAsync(&x[1], 1, 1, other) == cudaSuccess && x[1] == 1);
  // Work that never comes back to the origin.
  EXPECT(capture(true, false, &graph) == cudaErrorStreamCaptureUnjoined && graph == nullptr);
  cudaGetLastError();
  EXPECT(cudaMemsetAsync(&x[0], 2, 1, origin) == cudaSuccess && x[0] == 2);
  for (cudaEvent_t event : {forked, joined}) cudaEventDestroy(event);
  for (cudaStream_t stream : {origin, other}) cudaStreamDestroy(stream);
}

// Without the wait a replay may come by in another order: the schedules show it.
TEST(a_wait_left_out_of_a_capture_shows) {
  cudaStream_t origin = nullptr, other = nullptr;
  cudaEvent_t forked = nullptr, joined = nullptr;
  for (cudaStream_t* stream : {&origin, &other}) cudaStreamCreateWithFlags(stream, cudaStreamNonBlocking);
  for (cudaEvent_t* event : {&forked, &joined}) cudaEventCreateWithFlags(event, cudaEventDisableTiming);
  unsigned char x[2] = {};
  cudaStreamBeginCapture(origin, cudaStreamCaptureModeRelaxed);
  cudaEventRecord(forked, origin);
  cudaStreamWaitEvent(other, forked);
  cudaMemsetAsync(&x[0], 7, 1, other);
  cudaEventRecord(joined, other);
  cudaMemcpyAsync(&x[1], &x[0], 1, cudaMemcpyDeviceToDevice, origin);  // before the wait
  cudaStreamWaitEvent(origin, joined);
  cudaGraph_t graph = nullptr;
  EXPECT(cudaStreamEndCapture(origin, &graph) == cudaSuccess);
  cudaGraphExec_t executable = nullptr;
  cudaGraphInstantiate(&executable, graph, 0);
  int early = 0;
  for (const Schedule::Order order : {Schedule::Order::forward, Schedule::Order::reverse}) {
    set_schedule({order, 0});
    x[0] = x[1] = 0;
    cudaGraphLaunch(executable, origin);
    early += x[1] != 7;
  }
  set_schedule({});
  EXPECT(early == 1);
  cudaGraphExecDestroy(executable);
  cudaGraphDestroy(graph);
  for (cudaEvent_t event : {forked, joined}) cudaEventDestroy(event);
  for (cudaStream_t stream : {origin, other}) cudaStreamDestroy(stream);
}

// An event that marks a place in a graph has no time, and nobody can wait for it outside of the capture.
TEST(events_of_a_capture_stay_in_it) {
  cudaStream_t origin = nullptr, other = nullptr;
  cudaEvent_t event = nullptr, external = nullptr;
  for (cudaStream_t* stream : {&origin, &other}) cudaStreamCreateWithFlags(stream, cudaStreamNonBlocking);
  for (cudaEvent_t* each : {&event, &external}) cudaEventCreate(each);
  EXPECT(cudaStreamBeginCapture(origin, cudaStreamCaptureModeRelaxed) == cudaSuccess);
  EXPECT(cudaEventRecord(event, origin) == cudaSuccess);
  EXPECT(cudaEventRecordWithFlags(external, origin, cudaEventRecordExternal) == cudaSuccess);
  EXPECT(cudaEventSynchronize(event) == cudaErrorCapturedEvent);
  cudaGraph_t graph = nullptr;
  EXPECT(cudaStreamEndCapture(origin, &graph) == cudaSuccess);
  float milliseconds = 0;
  EXPECT(cudaEventSynchronize(event) == cudaErrorCapturedEvent);
  EXPECT(cudaStreamWaitEvent(other, event) == cudaErrorCapturedEvent);
  EXPECT(cudaEventElapsedTime(&milliseconds, event, event) == cudaErrorCapturedEvent);
  EXPECT(cudaEventElapsedTime(&milliseconds, external, external) ==
         cudaErrorInvalidResourceHandle);  // not replayed yet
  cudaGraphExec_t executable = nullptr;
  cudaGraphInstantiate(&executable, graph, 0);
  EXPECT(cudaStreamBeginCapture(other, cudaStreamCaptureModeRelaxed) == cudaSuccess);
  EXPECT(cudaGraphLaunch(executable, other) == cudaErrorStreamCaptureUnsupported);
  cudaGraph_t nothing = nullptr;
  EXPECT(cudaStreamEndCapture(other, &nothing) == cudaSuccess);
  EXPECT(cudaGraphLaunch(executable, origin) == cudaSuccess);
  EXPECT(cudaEventElapsedTime(&milliseconds, external, external) == cudaSuccess);
  // Recorded outside, it is an event like any other.
  EXPECT(cudaEventRecord(event, origin) == cudaSuccess);
  EXPECT(cudaEventSynchronize(event) == cudaSuccess && cudaStreamWaitEvent(other, event) == cudaSuccess);
  cudaGetLastError();
  for (cudaGraph_t each : {graph, nothing}) cudaGraphDestroy(each);
  cudaGraphExecDestroy(executable);
  for (cudaEvent_t each : {event, external}) cudaEventDestroy(each);
  for (cudaStream_t stream : {origin, other}) cudaStreamDestroy(stream);
}

TEST(times_are_those_of_events_that_have_them) {
  cudaStream_t stream = nullptr;
  cudaEvent_t timed = nullptr, never = nullptr, plain = nullptr;
  cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking);
  for (cudaEvent_t* each : {&timed, &never}) cudaEventCreate(each);
  cudaEventCreateWithFlags(&plain, cudaEventDisableTiming);
  void *host = nullptr, *device = nullptr;
  cudaMallocHost(&host, 1);
  cudaMalloc(&device, 1);
  float milliseconds = 0;
  const auto elapsed = [&](cudaEvent_t end) { return cudaEventElapsedTime(&milliseconds, timed, end); };
  cudaMemcpyAsync(host, device, 1, cudaMemcpyDeviceToHost, stream);  // late
  for (cudaEvent_t each : {timed, plain}) cudaEventRecord(each, stream);
  EXPECT(elapsed(timed) == cudaErrorNotReady);
  EXPECT(cudaEventSynchronize(timed) == cudaSuccess && elapsed(timed) == cudaSuccess);
  for (cudaEvent_t end : {never, plain}) EXPECT(elapsed(end) == cudaErrorInvalidResourceHandle);
  EXPECT(cudaEventSynchronize(never) == cudaSuccess);  // nothing to wait for
  cudaGetLastError();
  EXPECT(cudaFreeHost(host) == cudaSuccess && cudaFreeHost(&host) == cudaErrorInvalidValue);
  cudaFree(device);
  for (cudaEvent_t each : {timed, never, plain}) cudaEventDestroy(each);
  cudaStreamDestroy(stream);
}

// CUDA Runtime API, cudaThreadExchangeStreamCaptureMode: what may depend on other streams is refused while a capture is
// under way, on its thread, or on all threads if it is global; a relaxed one refuses nothing.
TEST(captures_refuse_what_allocates_frees_or_waits) {
  cudaStream_t captured = nullptr, other = nullptr;
  cudaEvent_t event = nullptr;
  for (cudaStream_t* stream : {&captured, &other}) cudaStreamCreateWithFlags(stream, cudaStreamNonBlocking);
  cudaEventCreate(&event);
  cudaEventRecord(event, other);
  const auto refused = [&] {
    void *device = nullptr, *host = nullptr;
    const bool allocates = cudaMalloc(&device, 1) == cudaSuccess, locks = cudaMallocHost(&host, 1) == cudaSuccess;
    const bool waits = cudaEventSynchronize(event) == cudaSuccess && cudaStreamSynchronize(other) == cudaSuccess;
    if (allocates) cudaFree(device);
    if (locks) cudaFreeHost(host);
    EXPECT(allocates == locks && allocates == waits);
    return !allocates;
  };
  void *device = nullptr, *host = nullptr;
  cudaMalloc(&device, 1);
  cudaMallocHost(&host, 1);
  const auto during = [&](cudaStreamCaptureMode mode, bool here, bool elsewhere) {
    EXPECT(cudaStreamBeginCapture(captured, mode) == cudaSuccess);
    EXPECT(refused() == here);
    std::thread([&] { EXPECT(refused() == elsewhere); }).join();
    if (here) EXPECT(cudaFree(device) == cudaErrorStreamCaptureUnsupported);
    if (here) EXPECT(cudaFreeHost(host) == cudaErrorStreamCaptureUnsupported);
    cudaGraph_t graph = nullptr;
    EXPECT(cudaStreamEndCapture(captured, &graph) == cudaSuccess);
    cudaGraphDestroy(graph);
    EXPECT(!refused());
  };
  during(cudaStreamCaptureModeGlobal, true, true);
  during(cudaStreamCaptureModeThreadLocal, true, false);
  during(cudaStreamCaptureModeRelaxed, false, false);
  cudaGetLastError();
  cudaFree(device);
  cudaFreeHost(host);
  cudaEventDestroy(event);
  for (cudaStream_t stream : {captured, other}) cudaStreamDestroy(stream);
}

// Run with NEXTPATCH_SIMT_DEVICES=2: what belongs to one device is refused on the other.
TEST(devices_are_apart) {
  int count = 0;
  cudaGetDeviceCount(&count);
  if (count < 2) return;
  cudaStream_t first = nullptr, second = nullptr;
  cudaEvent_t event = nullptr;
  void *mine = nullptr, *theirs = nullptr;
  EXPECT(cudaSetDevice(1) == cudaSuccess);
  cudaStreamCreateWithFlags(&second, cudaStreamNonBlocking);
  cudaMalloc(&theirs, 64);
  EXPECT(cudaSetDevice(0) == cudaSuccess);
  cudaStreamCreateWithFlags(&first, cudaStreamNonBlocking);
  cudaEventCreate(&event);
  cudaMalloc(&mine, 64);
  char host[64] = {};
  EXPECT(cudaMemcpyAsync(mine, host, 64, cudaMemcpyHostToDevice, first) == cudaSuccess);
  EXPECT(cudaMemcpyAsync(mine, host, 64, cudaMemcpyHostToDevice, second) == cudaErrorInvalidResourceHandle);
  EXPECT(cudaMemcpyAsync(theirs, host, 64, cudaMemcpyHostToDevice, first) == cudaErrorInvalidValue);
  EXPECT(cudaMemsetAsync(static_cast<char*>(theirs) + 63, 0, 1, first) == cudaErrorInvalidValue);
  EXPECT(problem<add_kernel>(1, 1, 0, static_cast<float*>(mine), 1.0f).empty());
  const auto launch = [&](cudaStream_t stream) {
    return refusal([&] { cuda::launch<add_kernel>("test", {1, 1, 0, stream}, static_cast<float*>(mine), 1.0f); });
  };
  EXPECT(launch(first).empty());
  EXPECT(launch(second) == "test: launch failed: invalid resource handle");
  EXPECT(cudaEventRecord(event, first) == cudaSuccess);
  EXPECT(cudaEventRecord(event, second) == cudaErrorInvalidResourceHandle);
  EXPECT(cudaStreamBeginCapture(second, cudaStreamCaptureModeRelaxed) == cudaErrorInvalidResourceHandle);
  EXPECT(cudaSetDevice(2) == cudaErrorInvalidDevice);
  cudaGetLastError();
  cudaEventDestroy(event);
  cudaFree(mine);
  cudaFree(theirs);
  cudaStreamDestroy(first);
  cudaStreamDestroy(second);
}

// Run with NEXTPATCH_SIMT_LATE=1: a kernel runs when it is waited for, on its stream or on one that waits for its
// event.
TEST(kernels_are_late) {
  if (!std::getenv("NEXTPATCH_SIMT_LATE")) return;
  cudaStream_t first = nullptr, second = nullptr;
  cudaEvent_t event = nullptr;
  for (cudaStream_t* stream : {&first, &second}) cudaStreamCreateWithFlags(stream, cudaStreamNonBlocking);
  cudaEventCreate(&event);
  float x[2] = {};
  const auto add = [&](int i, cudaStream_t stream) {
    cuda::launch<add_kernel>("test", {1, 1, 0, stream}, x + i, 1.0f);
  };
  add(0, first);
  cudaEventRecord(event, first);
  add(0, first);
  cudaStreamWaitEvent(second, event);
  add(1, second);
  EXPECT(x[0] == 0 && x[1] == 0);
  cudaStreamSynchronize(second);
  EXPECT(x[0] == 1 && x[1] == 1);
  cudaStreamSynchronize(first);
  EXPECT(x[0] == 2);
  cudaEventDestroy(event);
  for (cudaStream_t stream : {first, second}) cudaStreamDestroy(stream);
}

TEST(device_memory) {
  size_t free_before = 0, free_after = 0, total = 0;
  EXPECT(cudaMemGetInfo(&free_before, &total) == cudaSuccess);
  void* data = nullptr;
  EXPECT(cudaMalloc(&data, 1000) == cudaSuccess);
  EXPECT(reinterpret_cast<uintptr_t>(data) % 256 == 0);
  EXPECT(static_cast<unsigned char*>(data)[999] == 0xff);
  EXPECT(cudaMemGetInfo(&free_after, &total) == cudaSuccess && free_before - free_after == 1000);
  EXPECT(cudaFree(data) == cudaSuccess);
  int elsewhere = 0;
  EXPECT(cudaFree(&elsewhere) == cudaErrorInvalidValue);
  EXPECT(cudaMalloc(&data, total + 1) == cudaErrorMemoryAllocation && data == nullptr);
}

}  // namespace
}  // namespace nextpatch::simt
