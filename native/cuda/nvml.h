// The energy counter of a GPU, from NVML (the driver's management library), opened at run time: without it, a machine
// just does not count energy.
#pragma once

namespace nextpatch::cuda {

class EnergyCounter {
 public:
  // pci_bus_id as cudaDeviceGetPCIBusId writes it.
  explicit EnergyCounter(const char* pci_bus_id);

  // Joules since the driver was loaded; NaN if the GPU (before Volta) or the machine has no counter.
  double joules() const;

 private:
  using Device = void*;
  int (*read_)(Device, unsigned long long*) = nullptr;
  Device device_ = nullptr;
};

}  // namespace nextpatch::cuda
