#include "nvml.h"

#include <dlfcn.h>

#include <cmath>

namespace nextpatch::cuda {
namespace {

template <typename Function>
Function find(void* library, const char* name) {
  return reinterpret_cast<Function>(dlsym(library, name));
}

}  // namespace

EnergyCounter::EnergyCounter(const char* pci_bus_id) {
  // Never closed: the library keeps its own threads and state.
  void* library = dlopen("libnvidia-ml.so.1", RTLD_NOW | RTLD_LOCAL);
  if (!library) return;
  const auto init = find<int (*)()>(library, "nvmlInit_v2");
  const auto by_bus = find<int (*)(const char*, Device*)>(library, "nvmlDeviceGetHandleByPciBusId_v2");
  const auto read = find<decltype(read_)>(library, "nvmlDeviceGetTotalEnergyConsumption");
  if (!init || !by_bus || !read || init() != 0 || by_bus(pci_bus_id, &device_) != 0) return;
  read_ = read;
}

double EnergyCounter::joules() const {
  unsigned long long millijoules = 0;
  if (!read_ || read_(device_, &millijoules) != 0) return std::nan("");
  return double(millijoules) / 1e3;
}

}  // namespace nextpatch::cuda
