// cuda/nccl_collectives.cpp on the fake NCCL: three ranks, each a thread with a simulated device of its own. Exits 1 if
// anything failed. With an argument: prints what is said of a library that cannot be used.
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "../../../core/rendezvous.h"
#include "../../../cuda/check.h"
#include "../../../cuda/nccl_collectives.h"
#include "../check.h"

using namespace nextpatch;
using cuda::NcclCollectives;

namespace {

constexpr int kRanks = 3;

struct Rank {
  int number = 0;
  cudaStream_t stream = nullptr;
  std::unique_ptr<NcclCollectives> all;
};

// A tensor on the rank's device.
struct Values {
  View view;
  explicit Values(int64_t n, DType dtype = DType::f32) {
    view.dtype = dtype;
    view.rank = 1;
    view.shape[0] = n;
    view.stride[0] = 1;
    cuda::check(cudaMalloc(&view.data, size_t(n) * size_of(dtype)), "test");
  }
  ~Values() { cudaFree(view.data); }
  Values(const Values&) = delete;
  // A block of it.
  View block(int64_t at, int64_t n) const {
    View part = view;
    part.data = view.as<char>() + at * int64_t(size_of(view.dtype));
    part.shape[0] = n;
    return part;
  }
};

float value(int rank, int64_t i) { return 1.f / float(3 + (i * 7 + rank * 31) % 97); }

// In the fake's order, which for block b begins at rank b + 1.
float sum(int block, int64_t i) {
  float total = value((block + 1) % kRanks, i);
  for (int step = 2; step <= kRanks; ++step) total += value((block + step) % kRanks, i);
  return total;
}

void fill(const Values& values, int rank) {
  for (int64_t i = 0; i < values.view.size(); ++i) values.view.as<float>()[i] = value(rank, i);
}

// Runs a part on all ranks at once, with communicators of its own.
void on_ranks(const std::function<void(Rank&)>& part) {
  Rendezvous::Door door(0);
  const Meeting meeting{{"127.0.0.1"}, door.port(), 17};
  const auto run = [&](int number) {
    try {
      cuda::check(cudaSetDevice(number), "test");
      Rank rank;
      rank.number = number;
      cuda::check(cudaStreamCreateWithFlags(&rank.stream, cudaStreamNonBlocking), "test");
      const auto met = number == 0 ? Rendezvous::accept(std::move(door), kRanks, 17, 20)
                                   : Rendezvous::connect(number, kRanks, meeting, 20);
      rank.all = std::make_unique<NcclCollectives>(*met, rank.stream);
      rank.all->open();
      part(rank);
      rank.all.reset();
      cudaStreamDestroy(rank.stream);
    } catch (const std::exception& error) {
      expect(false, std::string("rank ") + std::to_string(number) + ": " + error.what());
    }
  };
  std::vector<std::thread> threads;
  for (int number = 0; number < kRanks; ++number) threads.emplace_back(run, number);
  for (std::thread& thread : threads) thread.join();
}

void operations(Rank& rank) {
  NcclCollectives& all = *rank.all;
  expect(all.info().rank == rank.number && all.info().size == kRanks && !all.info().host.empty(), "the place");
  for (const int64_t block : {1, 3, 4099, 30001}) {
    const int64_t begin = block * rank.number;
    Values input(block * kRanks), out(block), gathered(block * kRanks);
    fill(input, rank.number);
    const uint64_t before = all.sent_bytes();
    all.reduce_scatter(out.view, input.view);
    const uint64_t scattered = all.sent_bytes();
    all.all_gather(gathered.view, out.view);
    const uint64_t share = 4 * uint64_t(block) * (kRanks - 1);
    expect(scattered - before == share && all.sent_bytes() - scattered == share, "the bytes that are sent");
    cuda::check(cudaStreamSynchronize(rank.stream), "test");
    for (int64_t i = 0; i < block; ++i)
      expect(out.view.as<float>()[i] == sum(rank.number, begin + i), "a reduce-scatter's sum");
    for (int64_t i = 0; i < block * kRanks; ++i)
      expect(gathered.view.as<float>()[i] == sum(int(i / block), i), "what is gathered");
    // In place.
    all.reduce_scatter(input.block(begin, block), input.view);
    all.all_gather(input.view, input.block(begin, block));
    cuda::check(cudaStreamSynchronize(rank.stream), "test");
    for (int64_t i = 0; i < block * kRanks; ++i)
      expect(input.view.as<float>()[i] == gathered.view.as<float>()[i], "in place");
    fill(input, rank.number);
    all.all_reduce(input.view);
    cuda::check(cudaStreamSynchronize(rank.stream), "test");
    for (int64_t i = 0; i < block * kRanks; ++i) expect(input.view.as<float>()[i] == sum(0, i), "an all-reduce's sum");
  }
  Values part(5, DType::bf16), whole(5 * kRanks, DType::bf16);
  for (int i = 0; i < 5; ++i) part.view.as<uint16_t>()[i] = uint16_t(100 * rank.number + i);
  all.all_gather(whole.view, part.view);
  cuda::check(cudaStreamSynchronize(rank.stream), "test");
  for (int i = 0; i < 5 * kRanks; ++i) expect(whole.view.as<uint16_t>()[i] == 100 * (i / 5) + i % 5, "gathered bf16");
  const std::string second = refusal([&] {
    Rendezvous::Door door(0);
    NcclCollectives(*Rendezvous::accept(std::move(door), 1, 1, 1), rank.stream).open();
  });
  expect(second.find("Ranks.join: rank 0 of 1 (") == 0 &&
             second.find("): NCCL 2.27.3: invalid usage: the device has a communicator") != std::string::npos,
         "a device that is joined twice: " + second);
  const Progress progress = all.progress();
  expect(progress.begun == 21 && progress.advanced == 21 && !progress.waits, "the count of operations");
  all.leave();
  expect(all.progress().begun == 21, "that leaving is no operation in which a rank is missed");
  expect(refusal([&] { all.all_reduce(part.view); }) == "Ranks.allReduce: not possible: this rank has left",
         "an operation after leaving");
  expect(refusal([&] { all.check(); }).empty(), "leaving is no failure");
}

void graphs(Rank& rank) {
  NcclCollectives& all = *rank.all;
  Values values(4);
  for (int i = 0; i < 4; ++i) values.view.as<float>()[i] = float(i);
  all.all_reduce(values.view);  // connects
  const uint64_t before = all.sent_bytes();
  cudaGraph_t graph = nullptr;
  cudaGraphExec_t executable = nullptr;
  cuda::check(cudaStreamBeginCapture(rank.stream, cudaStreamCaptureModeRelaxed), "test");
  all.begin_recording();
  all.all_reduce(values.view);
  cuda::check(cudaStreamEndCapture(rank.stream, &graph), "test");
  cuda::check(cudaGraphInstantiate(&executable, graph, 0), "test");
  cudaGraphDestroy(graph);
  all.end_recording(executable);
  expect(all.sent_bytes() == before, "recording sends nothing");
  for (int time = 0; time < 2; ++time) {
    cuda::check(cudaGraphLaunch(executable, rank.stream), "test");
    all.launched(executable);
  }
  cuda::check(cudaStreamSynchronize(rank.stream), "test");
  expect(all.sent_bytes() - before == 2 * 2 * 16 * (kRanks - 1) / kRanks, "the bytes of launches");
  for (int i = 0; i < 4; ++i) expect(values.view.as<float>()[i] == float(27 * i), "a graph's sums");
  const Progress progress = all.progress();
  expect(progress.begun == 3 && progress.advanced == 3, "the count of operations that graphs launch");
  // The communicator stays as long as the graph does, the odd rank's is destroyed.
  if (rank.number == 1) {
    cudaGraphExecDestroy(executable);
    all.destroyed(executable);
  }
  all.leave();
  if (rank.number != 1) cudaGraphExecDestroy(executable);
}

void another_call(Rank& rank) {
  Values values(8);
  rank.all->all_reduce(values.block(0, rank.number == 0 ? 4 : 8));
  std::string said;
  for (int looks = 0; said.empty() && looks < 200; ++looks) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
    said = refusal([&] { rank.all->check(); });
  }
  expect(said.find("NCCL 2.27.3: invalid usage: the ranks' calls differ") != std::string::npos,
         "an error that no call returns: " + said);
  expect(refusal([&] { rank.all->leave(); }) == "Ranks.leave: not possible: " + said, "leaving after it");
}

// Rank 0 waits in an operation that the others never call, until `end`.
void end_waiting(Rank& rank, const std::function<void()>& end) {
  Values values(8);
  rank.all->all_reduce(values.view);
  std::thread other([&] {
    for (int looks = 0; rank.number == 0 && !rank.all->progress().waits && looks < 500; ++looks)
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    const Progress progress = rank.all->progress();
    expect(progress.waits == (rank.number == 0), "which rank waits");
    expect(progress.advanced == 1 && progress.begun == (rank.number == 0 ? 2u : 1u), "how far a rank is");
    end();
  });
  if (rank.number == 0) rank.all->all_reduce(values.view);
  other.join();
}

void stopped(Rank& rank) {
  end_waiting(rank, [&] { rank.all->stop(); });
  expect(refusal([&] { rank.all->check(); }) == "this rank is leaving", "an operation that is stopped");
  expect(!rank.all->progress().waits, "that a rank without a communicator waits for no other");
}

void abandoned(Rank& rank) {
  end_waiting(rank, [&] { rank.all->abandon(); });
  NcclCollectives* const all = rank.all.release();  // which whoever asks it waits for
  static std::atomic<int> told;
  std::thread([all] {
    refusal([&] { all->check(); });
    ++told;
  }).detach();
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  expect(told == 0, "that nothing is told by a rank that ends at once");
}

}  // namespace

int main(int count, char**) {
  if (count > 1) {
    std::printf("%s\n", refusal([] { cuda::nccl(); }).c_str());
    return 0;
  }
  // Those of `graphs` keep their devices.
  const struct {
    const char* name;
    void (*part)(Rank&);
  } tests[] = {{"operations", operations},
               {"another_call", another_call},
               {"stopped", stopped},
               {"abandoned", abandoned},
               {"graphs", graphs}};
  for (const auto& test : tests) {
    const int before = failures();
    on_ranks(test.part);
    std::printf("%s NCCL: %s\n", failures() == before ? "ok  " : "FAIL", test.name);
  }
  std::fflush(stdout);
  std::_Exit(failures() == 0 ? 0 : 1);
}
