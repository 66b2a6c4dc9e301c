// The operations on several ranks of the simulated device: on its memory, which is the host's, when their stream comes
// by them.
#include "../cuda/check.h"
#include "../cuda/communication.h"
#include "../cuda/context.h"
#include "../engine/host_collectives.h"

namespace nextpatch::cuda {
namespace {

class StreamCollectives final : public Collectives {
 public:
  StreamCollectives(const Engine& engine, cudaStream_t stream) : all_(engine), stream_(stream) {}

  RankInfo info() const override { return all_.info(); }
  uint64_t sent_bytes() const override { return all_.sent_bytes(); }
  Progress progress() const override { return all_.progress(); }

  void reduce_scatter(const View& out, const View& in) override {
    enqueue("reduce_scatter", [this, out, in] { all_.reduce_scatter(out, in); });
  }
  void all_gather(const View& out, const View& in) override {
    enqueue("all_gather", [this, out, in] { all_.all_gather(out, in); });
  }
  void all_reduce(const View& values) override {
    enqueue("all_reduce", [this, values] { all_.all_reduce(values); });
  }
  void leave() override {
    enqueue("leave", [this] { all_.leave(); });
    check(cudaStreamSynchronize(stream_), "leave");
  }
  void stop() override { all_.stop(); }

 private:
  template <typename Part>
  void enqueue(const char* operation, Part part) {
    const auto work = [part = std::move(part)] {
      part();
      return cudaSuccess;
    };
    check(simt::enqueue(stream_, work), operation);
  }

  HostCollectives all_;
  cudaStream_t stream_;
};

}  // namespace

std::unique_ptr<Communication> CudaContext::join(const Engine& engine) {
  return std::make_unique<StreamCommunication>(owned_.device.stream, [&](cudaStream_t communicating) {
    return std::make_unique<StreamCollectives>(engine, communicating);
  });
}

}  // namespace nextpatch::cuda
