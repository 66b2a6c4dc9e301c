// A backend for tests of how backends are found. The file beside it, with `.fake` after its name, has three lines: its
// version, the name of its device (empty: it has none), and a signal that opening it raises (0: none).
#include <dlfcn.h>

#include <csignal>
#include <fstream>

#include "../../native/core/backend.h"
#include "../../native/core/error.h"

namespace {

struct Description {
  std::string version, device;
  int signal = 0;

  Description() {
    Dl_info info;
    dladdr(reinterpret_cast<void*>(&nextpatch_backend), &info);
    std::ifstream file(std::string(info.dli_fname) + ".fake");
    std::getline(file, version);
    std::getline(file, device);
    file >> signal;
    if (signal != 0) raise(signal);
  }
};

const Description description;

class FakeBackend final : public nextpatch::Backend {
 public:
  std::string name() const override { return "fake"; }
  std::vector<std::pair<std::string, std::string>> versions() const override { return {}; }
  std::vector<nextpatch::DeviceInfo> devices() override {
    if (description.device.empty()) throw nextpatch::Error(nextpatch::ErrorKind::device, "the fake driver is too old");
    nextpatch::DeviceInfo info;
    info.name = description.device;
    return {info};
  }
  std::unique_ptr<nextpatch::Context> open(int, int) override { return nullptr; }
};

}  // namespace

const nextpatch::BackendEntry* nextpatch_backend() {
  static FakeBackend backend;
  static const nextpatch::BackendEntry entry{description.version.c_str(), &backend};
  return &entry;
}
