#include "context.h"

#include <algorithm>
#include <string>

#include "../core/error.h"
#include "check.h"
#include "communication.h"
#include "wgmma.h"

namespace nextpatch::cuda {
namespace {

Device describe(int index) {
  cudaDeviceProp properties;
  check(cudaGetDeviceProperties(&properties, index), "open", "cudaGetDeviceProperties failed");
  Device device;
  device.index = index;
  device.shared_bytes = properties.sharedMemPerBlockOptin;
  device.multiprocessor_bytes = properties.sharedMemPerMultiprocessor;
  device.major = properties.major;
  return device;
}

// Whether an allocation found memory; throws for any other error.
bool enough(cudaError_t error) {
  if (error == cudaErrorMemoryAllocation) {
    cudaGetLastError();
    return false;
  }
  check(error, "allocate");
  return true;
}

}  // namespace

CudaContext::Owned::Owned(int index) : Owned() {
  device = describe(index);
  check(cudaSetDevice(index), "open", "cudaSetDevice failed");
  for (cudaStream_t* stream : {&device.stream, &copies})
    check(cudaStreamCreateWithFlags(stream, cudaStreamNonBlocking), "open", "cudaStreamCreate failed");
  device.wgmma = has_wgmma(device.major, device.stream);
  void* host = nullptr;
  check(cudaHostAlloc(&host, sizeof(BadId), cudaHostAllocMapped), "open", "cudaHostAlloc failed");
  bad_id = static_cast<BadId*>(host);
  for (BadId::Kind& kind : bad_id->kinds) kind.first = BadId::kNone;
  void* mapped = nullptr;
  check(cudaHostGetDevicePointer(&mapped, host, 0), "open", "cudaHostGetDevicePointer failed");
  device.bad_id = static_cast<BadId*>(mapped);
  for (cudaEvent_t* event : {&arrived, &departed})
    check(cudaEventCreateWithFlags(event, cudaEventDisableTiming), "open", "cudaEventCreate failed");
  // A thread that waits for one of these sleeps: spinning would take a core from the loader for the whole step, only to
  // notice its end some tens of microseconds earlier.
  for (cudaEvent_t& event : events)
    check(cudaEventCreateWithFlags(&event, cudaEventDisableTiming | cudaEventBlockingSync), "open",
          "cudaEventCreate failed");
}

CudaContext::Owned::~Owned() {
  cudaSetDevice(device.index);
  for (cudaStream_t stream : {copies, device.stream})
    if (stream) cudaStreamSynchronize(stream);
  for (cudaEvent_t event : {arrived, departed})
    if (event) cudaEventDestroy(event);
  for (cudaEvent_t event : events)
    if (event) cudaEventDestroy(event);
  for (cudaEvent_t mark : marks)
    if (mark) cudaEventDestroy(mark);
  if (bad_id) cudaFreeHost(bad_id);
  for (cudaStream_t stream : {copies, device.stream})
    if (stream) cudaStreamDestroy(stream);
}

#if NEXTPATCH_SIMT
CudaContext::CudaContext(int index) : owned_(index), kernels_(owned_.device) {}
#else
namespace {

std::string pci_bus_id(int index) {
  char text[32] = {};
  check(cudaDeviceGetPCIBusId(text, sizeof text, index), "open", "cudaDeviceGetPCIBusId failed");
  return text;
}

}  // namespace

CudaContext::CudaContext(int index) : owned_(index), kernels_(owned_.device), energy_(pci_bus_id(index).c_str()) {}
#endif

void CudaContext::use(const char* operation) const {
  check(cudaSetDevice(owned_.device.index), operation, "cudaSetDevice failed");
}

void CudaContext::enter() { use("open"); }

void* CudaContext::allocate(size_t bytes) {
  use("allocate");
  void* data = nullptr;
  return enough(cudaMalloc(&data, bytes)) ? data : nullptr;
}

void CudaContext::free(void* data) {
  // Callers may be finalizers, which must not throw; a failed device reports itself at the next wait.
  cudaSetDevice(owned_.device.index);
  if (cudaFree(data) != cudaSuccess) cudaGetLastError();
}

void* CudaContext::allocate_host(size_t bytes) {
  use("allocate");
  void* data = nullptr;
  return enough(cudaMallocHost(&data, bytes)) ? data : nullptr;
}

void CudaContext::free_host(void* data) {
  if (cudaFreeHost(data) != cudaSuccess) cudaGetLastError();
}

MemoryStatus CudaContext::memory() {
  use("memory");
  size_t free_bytes = 0, total_bytes = 0;
  check(cudaMemGetInfo(&free_bytes, &total_bytes), "memory", "cudaMemGetInfo failed");
  return {int64_t(total_bytes), int64_t(free_bytes), ""};
}

void CudaContext::copy_from_host(void* device, const void* host, size_t bytes) {
  check(cudaMemcpyAsync(device, host, bytes, cudaMemcpyHostToDevice, owned_.device.stream), "copy to device");
}

void CudaContext::copy_to_host(void* host, const void* device, size_t bytes) {
  check(cudaMemcpyAsync(host, device, bytes, cudaMemcpyDeviceToHost, owned_.device.stream), "copy to host");
}

void CudaContext::upload(void* device, void* arrival, const void* host, size_t bytes, bool fresh) {
  const cudaStream_t stream = owned_.device.stream, copies = owned_.copies;
  if (fresh) check(cudaEventRecord(owned_.departed, stream), "upload");
  check(cudaStreamWaitEvent(copies, owned_.departed, 0), "upload");
  check(cudaMemcpyAsync(arrival, host, bytes, cudaMemcpyHostToDevice, copies), "upload");
  check(cudaEventRecord(owned_.arrived, copies), "upload");
  check(cudaStreamWaitEvent(stream, owned_.arrived, 0), "upload");
  check(cudaMemcpyAsync(device, arrival, bytes, cudaMemcpyDeviceToDevice, stream), "upload");
  check(cudaEventRecord(owned_.departed, stream), "upload");
}

// ---- Tickets --------------------------------------------------------------------------------------------

// Ticket n is the n-th record, in event n % kEvents. A reused event is reached later than its old record was, so that
// waiting for an old ticket may take too long but is never too short.
Ticket CudaContext::record() {
  const Ticket ticket = ++last_ticket_;
  check(cudaEventRecord(owned_.events[ticket % kEvents], owned_.device.stream), "record");
  return ticket;
}

void CudaContext::wait(Ticket ticket) {
  use("wait");
  check(cudaEventSynchronize(owned_.events[ticket % kEvents]), "wait", "the device failed");
  if (const NcclCollectives* const nccl = nccl_) nccl->check();
  report_bad_id();
}

void CudaContext::report_bad_id() {
  // A bad token explains its bad label, so it is reported first.
  const char* const names[BadId::kKinds] = {"token id ", "label "};
  std::string message;
  {
    std::lock_guard<std::mutex> lock(bad_id_mutex_);
    for (int what = 0; what < BadId::kKinds; ++what) {
      volatile BadId::Kind& kind = owned_.bad_id->kinds[what];
      const unsigned long long first = kind.first;
      if (first == BadId::kNone) continue;
      if (message.empty())
        message = names[what] + std::to_string(int32_t(uint32_t(first))) + " at index " + std::to_string(first >> 32) +
                  " is outside the vocabulary of " + std::to_string(kind.vocabulary);
      kind.first = BadId::kNone;
    }
  }
  if (!message.empty()) throw Error(ErrorKind::range, message);
}

// ---- Times ----------------------------------------------------------------------------------------------

void CudaContext::mark(int slot) {
  cudaEvent_t& event = owned_.marks[slot];
  if (!event) check(cudaEventCreate(&event), "mark");
  // In a graph, a replay records an event again only if it is external to the capture.
  const unsigned flags = capturing_ ? cudaEventRecordExternal : cudaEventRecordDefault;
  check(cudaEventRecordWithFlags(event, owned_.device.stream, flags), "mark");
}

double CudaContext::seconds_between(int first, int second) {
  use("mark");
  float milliseconds = 0;
  check(cudaEventElapsedTime(&milliseconds, owned_.marks[first], owned_.marks[second]), "mark");
  return milliseconds / 1e3;
}

// ---- Graphs -------------------------------------------------------------------------------------------

bool CudaContext::begin_capture() {
  // Relaxed: a kernel launched for the first time may be loaded during the capture.
  check(cudaStreamBeginCapture(owned_.device.stream, cudaStreamCaptureModeRelaxed), "capture");
  capturing_ = true;
  if (nccl_) nccl_.load()->begin_recording();
  return true;
}

void* CudaContext::end_capture() {
  capturing_ = false;
  cudaGraph_t graph = nullptr;
  cudaGraphExec_t executable = nullptr;
  const cudaError_t ended = cudaStreamEndCapture(owned_.device.stream, &graph);
  const cudaError_t made = ended == cudaSuccess ? cudaGraphInstantiate(&executable, graph, 0) : ended;
  if (nccl_) nccl_.load()->end_recording(executable);
  check(ended, "capture");
  cudaGraphDestroy(graph);
  check(made, "capture", "cudaGraphInstantiate failed");
  return executable;
}

void CudaContext::replay(void* graph) {
  check(cudaGraphLaunch(static_cast<cudaGraphExec_t>(graph), owned_.device.stream), "replay");
  if (nccl_) nccl_.load()->launched(graph);
}

void CudaContext::destroy_graph(void* graph) {
  if (nccl_) nccl_.load()->destroyed(graph);
  if (cudaGraphExecDestroy(static_cast<cudaGraphExec_t>(graph)) != cudaSuccess) cudaGetLastError();
}

// ---- Ranks --------------------------------------------------------------------------------------------

std::unique_ptr<Communication> CudaContext::meet(Rendezvous& ranks) {
  return std::make_unique<StreamCommunication>(owned_.device.stream, [&](cudaStream_t communicating) {
    auto nccl = std::make_unique<NcclCollectives>(ranks, communicating);
    nccl_ = nccl.get();
    return nccl;
  });
}

}  // namespace nextpatch::cuda
