// The part of NCCL that is used here, declared here and found when ranks are joined. Names, values and signatures are
// those of nccl.h 2.27, which later ones keep; test/cuda/nccl_header.sh holds them against a header.
#pragma once

#include <cuda_runtime.h>

#include <cstddef>
#include <string>

namespace nextpatch::cuda {

namespace nc {

enum Result : int { kSuccess = 0, kInProgress = 7 };
enum DataType : int { kInt8 = 0, kFloat32 = 7 };
enum Reduction : int { kSum = 0 };

using Communicator = struct CommunicatorOpaque*;

// What rank 0 makes, and all ranks open a communicator by.
struct UniqueId {
  char data[128];
};

}  // namespace nc

// The functions, under their names without `nccl`. Counts are elements of each rank's block, or of the whole that is
// reduced.
struct Nccl {
  nc::Result (*GetVersion)(int*);
  nc::Result (*GetUniqueId)(nc::UniqueId*);
  nc::Result (*CommInitRank)(nc::Communicator*, int ranks, nc::UniqueId, int rank);
  nc::Result (*CommDestroy)(nc::Communicator);
  nc::Result (*CommAbort)(nc::Communicator);
  nc::Result (*CommGetAsyncError)(nc::Communicator, nc::Result*);
  const char* (*GetErrorString)(nc::Result);
  const char* (*GetLastError)(nc::Communicator);
  nc::Result (*ReduceScatter)(const void* in, void* out, size_t count, nc::DataType, nc::Reduction, nc::Communicator,
                              cudaStream_t);
  nc::Result (*AllGather)(const void* in, void* out, size_t count, nc::DataType, nc::Communicator, cudaStream_t);
  nc::Result (*AllReduce)(const void* in, void* out, size_t count, nc::DataType, nc::Reduction, nc::Communicator,
                          cudaStream_t);

  std::string name;  // "NCCL 2.27.3"
};

// The library, opened by the first call: NEXTPATCH_NCCL (the library or its folder), else as cuBLAS is found. NVLS, by
// which sums differ from one call to the next, is turned off before, unless NCCL_NVLS_ENABLE is set. Throws an Error of
// kind device that says where it was looked for and how to get it, or that it is older than 2.27. Safe from any thread.
const Nccl& nccl();

}  // namespace nextpatch::cuda
