// A backend for tests of how backends are found: of version FAKE_VERSION; with FAKE_DEVICE it lists a device of that
// name, else it has none; with FAKE_SIGNAL, opening it raises that signal.
#include <csignal>

#include "../../native/core/backend.h"
#include "../../native/core/error.h"

namespace {

#ifdef FAKE_SIGNAL
__attribute__((constructor)) void opened() { raise(FAKE_SIGNAL); }
#endif

class FakeBackend final : public nextpatch::Backend {
 public:
  std::string name() const override { return "fake"; }
  std::vector<std::pair<std::string, std::string>> versions() const override { return {}; }
  std::vector<nextpatch::DeviceInfo> devices() override {
#ifdef FAKE_DEVICE
    nextpatch::DeviceInfo info;
    info.name = FAKE_DEVICE;
    return {info};
#else
    throw nextpatch::Error(nextpatch::ErrorKind::device, "the fake driver is too old");
#endif
  }
  std::unique_ptr<nextpatch::Context> open(int, int) override { return nullptr; }
};

}  // namespace

extern "C" __attribute__((visibility("default"))) const char* nextpatch_version() { return FAKE_VERSION; }

nextpatch::Backend* nextpatch_backend() {
  static FakeBackend backend;
  return &backend;
}
