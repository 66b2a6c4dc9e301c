// Launches test kernels.
#pragma once

#include <cuda_runtime.h>

#include <functional>
#include <string>
#include <vector>

#include "../../cuda/launch.cuh"

namespace nextpatch::simt {

// Empty, or the message of the launch's Error.
template <auto Kernel, typename... Args>
std::string problem(dim3 grid, dim3 block, size_t shared_bytes, Args... args) {
  try {
    cuda::launch<Kernel>("test", {grid, block, shared_bytes, nullptr}, args...);
  } catch (const Error& error) {
    return error.what();
  }
  return {};
}

inline void with_schedules(const std::function<void()>& body) {
  for (const char* text : {"forward", "reverse", "random:1", "random:2"}) {
    Schedule schedule;
    parse_schedule(text, &schedule);
    set_schedule(schedule);
    body();
  }
  set_schedule({});
}

}  // namespace nextpatch::simt
