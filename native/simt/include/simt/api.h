// The part of the CUDA runtime API that native/cuda uses, on host memory. Streams are in order and run what is
// enqueued at once, but for copies between page-locked and device memory and within it: as late as the stream's next
// kernel, or whoever waits for them, allows, so that a wait that is missing shows. Every second copy from the host is
// early instead, as the wait may be missing on either side. With NEXTPATCH_SIMT_LATE all are late. Captured
// graphs run when launched, in any order that their dependencies allow (graph.h): the schedule chooses. While a capture
// is not relaxed, calls that allocate, free or wait are refused, as on a device, and on all threads if it is global.
#pragma once

#include <cstddef>
#include <functional>

#include "vector_types.h"

enum cudaError_t {
  cudaSuccess = 0,
  cudaErrorInvalidValue = 1,
  cudaErrorMemoryAllocation = 2,
  cudaErrorInvalidConfiguration = 9,
  cudaErrorInsufficientDriver = 35,
  cudaErrorNoDevice = 100,
  cudaErrorInvalidDevice = 101,
  cudaErrorInvalidResourceHandle = 400,
  cudaErrorNotReady = 600,
  cudaErrorLaunchFailure = 719,
  cudaErrorStreamCaptureUnsupported = 900,
  cudaErrorStreamCaptureMerge = 902,
  cudaErrorStreamCaptureUnmatched = 903,
  cudaErrorStreamCaptureUnjoined = 904,
  cudaErrorStreamCaptureIsolation = 905,
  cudaErrorCapturedEvent = 907,
  cudaErrorUnknown = 999,  // a kernel that the runtime stopped
};
// For cudaErrorUnknown: which kernel, block and thread stopped last, and why.
const char* cudaGetErrorString(cudaError_t error);
cudaError_t cudaGetLastError();

// ---- Devices ------------------------------------------------------------------------------------------

struct cudaDeviceProp {
  char name[256];
  size_t totalGlobalMem;
  int major, minor;
  size_t sharedMemPerBlockOptin;
  size_t sharedMemPerMultiprocessor;
};
cudaError_t cudaGetDeviceCount(int* count);
cudaError_t cudaSetDevice(int device);
cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int device);
cudaError_t cudaRuntimeGetVersion(int* version);
cudaError_t cudaDriverGetVersion(int* version);

// ---- Memory: every byte of a new allocation is 0xff, a NaN ----------------------------------------------

cudaError_t cudaMalloc(void** data, size_t bytes);
cudaError_t cudaFree(void* data);
cudaError_t cudaMemGetInfo(size_t* free_bytes, size_t* total_bytes);
constexpr unsigned cudaHostAllocMapped = 2;
cudaError_t cudaHostAlloc(void** data, size_t bytes, unsigned flags);
cudaError_t cudaMallocHost(void** data, size_t bytes);
cudaError_t cudaFreeHost(void* data);
cudaError_t cudaHostGetDevicePointer(void** device, void* host, unsigned flags);

enum cudaMemcpyKind { cudaMemcpyHostToDevice = 1, cudaMemcpyDeviceToHost, cudaMemcpyDeviceToDevice, cudaMemcpyDefault };

// ---- Streams, events, graphs ---------------------------------------------------------------------------

using cudaStream_t = struct CUstream_st*;
using cudaEvent_t = struct CUevent_st*;
using cudaGraph_t = struct CUgraph_st*;
using cudaGraphExec_t = struct CUgraphExec_st*;
constexpr unsigned cudaStreamNonBlocking = 1;
constexpr unsigned cudaEventBlockingSync = 1, cudaEventDisableTiming = 2;
enum cudaStreamCaptureMode {
  cudaStreamCaptureModeGlobal,
  cudaStreamCaptureModeThreadLocal,
  cudaStreamCaptureModeRelaxed
};

cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned flags);
cudaError_t cudaStreamDestroy(cudaStream_t stream);
cudaError_t cudaStreamSynchronize(cudaStream_t stream);
cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned flags = 0);
cudaError_t cudaMemcpyAsync(void* to, const void* from, size_t bytes, cudaMemcpyKind kind, cudaStream_t stream);
cudaError_t cudaMemsetAsync(void* data, int value, size_t bytes, cudaStream_t stream);
cudaError_t cudaEventCreate(cudaEvent_t* event);
cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned flags);
cudaError_t cudaEventDestroy(cudaEvent_t event);
constexpr unsigned cudaEventRecordDefault = 0, cudaEventRecordExternal = 1;
cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream);
cudaError_t cudaEventRecordWithFlags(cudaEvent_t event, cudaStream_t stream, unsigned flags);
cudaError_t cudaEventSynchronize(cudaEvent_t event);
cudaError_t cudaEventElapsedTime(float* milliseconds, cudaEvent_t start, cudaEvent_t end);
cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode mode);
cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t* graph);
cudaError_t cudaGraphInstantiate(cudaGraphExec_t* executable, cudaGraph_t graph, unsigned long long flags);
cudaError_t cudaGraphLaunch(cudaGraphExec_t executable, cudaStream_t stream);
cudaError_t cudaGraphDestroy(cudaGraph_t graph);
cudaError_t cudaGraphExecDestroy(cudaGraphExec_t executable);

namespace nextpatch::simt {

// Runs `work` as the stream's next work item, at once or with NEXTPATCH_SIMT_LATE when it is waited for, or adds it to
// the graph being captured.
cudaError_t enqueue(cudaStream_t stream, std::function<cudaError_t()> work);
// The same, but never late.
cudaError_t enqueue_now(cudaStream_t stream, std::function<cudaError_t()> work);
// Whether what is enqueued is recorded in a graph.
bool capturing(cudaStream_t stream);

// Completes all late copies; called before memory is freed.
void finish_copies();

// The error of a call that allocates, frees or waits while a capture forbids it to this thread.
cudaError_t refused_by_capture();

// Whether the memory is from cudaHostAlloc or cudaMallocHost.
bool page_locked(const void* data);

struct KernelRecord;

// A kernel launch: checks grid, block and shared memory as CUDA does. `opted_in` is the shared memory that
// cudaFuncSetAttribute allowed.
cudaError_t enqueue_kernel(KernelRecord& kernel, dim3 grid, dim3 block, size_t shared_bytes, size_t opted_in,
                           cudaStream_t stream, std::function<void()> thread);

// What cudaFuncSetAttribute(cudaFuncAttributeMaxDynamicSharedMemorySize) would return.
cudaError_t check_opt_in(size_t shared_bytes);

}  // namespace nextpatch::simt
