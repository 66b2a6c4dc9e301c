#include "guest.h"

#include "devices.h"

const nextpatch::simt::Host* nextpatch_simt_host() {
  using namespace nextpatch::simt;
  static const Host host{enqueue, capturing, current_device, device_of};
  return &host;
}
