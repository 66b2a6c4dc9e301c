// A device's memory and its queue, on a context whose work is held up until the test lets it go on. Prints what is
// wrong; exits 1 if anything is.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <future>
#include <map>
#include <mutex>
#include <thread>

#include "../../native/core/device.h"
#include "../../native/core/error.h"

using namespace nextpatch;

namespace {

constexpr size_t kBlock = size_t(4) << 20;
constexpr Position kMostQueued = 4096;            // as in device.cpp
constexpr size_t kMostStaged = size_t(64) << 20;  // likewise

int wrong = 0;
void expect(bool holds, const char* what) {
  if (holds) return;
  std::printf("%s\n", what);
  ++wrong;
}

void pause() { std::this_thread::sleep_for(std::chrono::milliseconds(50)); }

class Gate {
 public:
  void open() {
    std::lock_guard<std::mutex> lock(mutex_);
    is_open_ = true;
    changed_.notify_all();
  }
  void pass() {
    std::unique_lock<std::mutex> lock(mutex_);
    changed_.wait(lock, [this] { return is_open_; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool is_open_ = false;
};

// Memory of a limited size, and what a test asks about it.
struct Memory {
  explicit Memory(size_t most) : most(most) {}
  const size_t most;
  std::mutex mutex;
  std::map<void*, size_t> blocks;
  size_t taken = 0;

  void* allocate(size_t bytes) {
    std::lock_guard<std::mutex> lock(mutex);
    if (taken + bytes > most) return nullptr;
    void* const data = std::malloc(bytes);
    blocks[data] = bytes;
    taken += bytes;
    return data;
  }
  void free(void* data) {
    std::lock_guard<std::mutex> lock(mutex);
    taken -= blocks.at(data);
    blocks.erase(data);
    std::free(data);
  }
  size_t in_use() {
    std::lock_guard<std::mutex> lock(mutex);
    return taken;
  }
};

// Operations beside the queue, on a thread of their own.
class FakeCommunication final : public Communication, public Collectives {
 public:
  Collectives& all() override { return *this; }
  void enqueue(std::function<void(Collectives&)> operation, bool beside) override {
    if (!beside) {
      await(0);
      return operation(*this);
    }
    worker_.enqueue([this, operation = std::move(operation)] { operation(*this); });
  }
  void await(size_t left) override { worker_.wait(worker_.enqueued() - std::min<Position>(left, worker_.enqueued())); }

  RankInfo info() const override { return {}; }
  uint64_t sent_bytes() const override { return 0; }
  void reduce_scatter(const View&, const View&) override {}
  void all_gather(const View&, const View&) override {}
  void all_reduce(const View&) override {}
  void leave() override {}
  void stop() override {}

 private:
  Worker worker_;
};

struct Setting {
  size_t most = size_t(1) << 30;  // bytes of memory
  bool asynchronous = false;
  Gate* stream = nullptr;  // what a wait for the stream waits for
};

class FakeContext final : public Context {
 public:
  FakeContext(const Setting& setting, Memory& memory, Memory& host) : setting_(setting), memory_(memory), host_(host) {}

  // The operations of these tests use none.
  Kernels& kernels() override { return reinterpret_cast<Kernels&>(nothing_); }
  std::unique_ptr<Communication> join(const Engine&) override { return std::make_unique<FakeCommunication>(); }
  void* allocate(size_t bytes) override { return memory_.allocate(bytes); }
  void free(void* data) override { memory_.free(data); }
  void* allocate_host(size_t bytes) override { return host_.allocate(bytes); }
  void free_host(void* data) override { host_.free(data); }
  MemoryStatus memory() override { return {int64_t(memory_.most), int64_t(memory_.most - memory_.in_use()), ""}; }
  bool asynchronous() const override { return setting_.asynchronous; }
  void copy_from_host(void* device, const void* host, size_t bytes) override { std::memcpy(device, host, bytes); }
  void copy_to_host(void* host, const void* device, size_t bytes) override { std::memcpy(host, device, bytes); }
  Ticket record() override { return 0; }
  void wait(Ticket) override {
    if (setting_.stream) setting_.stream->pass();
  }
  void mark(int) override {}
  double seconds_between(int, int) override { return 0; }

 private:
  const Setting setting_;
  Memory& memory_;
  Memory& host_;
  alignas(16) char nothing_[64] = {};
};

// One rank, which says nothing to others.
const Engine engine{
    "", [] { return "none"; }, nullptr, nullptr, nullptr, [] { return 0; }, [] { return 1; }, nullptr, nullptr};

struct Opened {
  explicit Opened(const Setting& setting = {})
      : memory(setting.most),
        host(SIZE_MAX),
        device(std::make_shared<Device>("fake", 0, 0, DeviceInfo{},
                                        std::make_unique<FakeContext>(setting, memory, host))) {}
  ~Opened() { device->close(); }

  std::shared_ptr<Storage> block(size_t bytes = kBlock) { return std::make_shared<Storage>(device, bytes); }
  void run(std::function<void()> operation, std::vector<std::shared_ptr<Storage>> owned = {}) {
    device->run("test", [operation = std::move(operation)](Kernels&) { operation(); }, std::move(owned));
  }
  // Waits. Returns whether all went well.
  bool settle() {
    std::promise<bool> done;
    device->synchronize([&](std::exception_ptr failure) { done.set_value(!failure); });
    return done.get_future().get();
  }
  void join() {
    std::promise<void> done;
    device->join(engine, 600, [&](std::exception_ptr) { done.set_value(); });
    done.get_future().get();
  }

  Memory memory, host;
  std::shared_ptr<Device> device;
};

// Whether a later block would be written while the first one is still in use.
void released_blocks_serve_at_once() {
  Gate gate;
  Opened on;
  auto first = on.block();
  char* const place = static_cast<char*>(first->data());
  char seen = 0;
  on.run([&] { gate.pass(), place[0] = 1; }, {first});
  first.reset();
  expect(on.device->memory().counters().used_bytes == 0, "a released block counts as used while an operation uses it");
  auto second = on.block();
  expect(second->data() == place, "a released block does not serve before its operation has run");
  on.run([&] { seen = place[0], place[0] = 2; }, {second});
  gate.open();
  expect(on.settle(), "operations on a block that was released failed");
  expect(seen == 1 && place[0] == 2, "operations on a block that was released ran in another order");
}

void many_outputs_take_one_block() {
  Gate gate;
  Opened on;
  on.run([&] { gate.pass(); });
  for (int call = 0; call < 400; ++call) {
    auto out = on.block();
    on.run([data = out->data()] { std::memset(data, 1, kBlock); }, {out});
  }
  expect(on.memory.in_use() == kBlock, "400 outputs that were disposed of took more than one block");
  gate.open();
  on.settle();
}

void the_system_waits_for_the_queue() {
  Gate gate;
  Opened on;
  auto block = on.block();
  on.run([&gate, data = block->data()] { gate.pass(), std::memset(data, 1, kBlock); }, {block});
  block.reset();
  on.device->trim();
  expect(on.memory.in_use() == kBlock, "trim returned a block that an operation in the queue uses");
  gate.open();
  on.settle();
  on.device->trim();
  expect(on.memory.in_use() == 0, "trim kept a block that nothing uses");
}

void short_memory_waits_for_the_queue() {
  Gate gate;
  Setting setting;
  setting.most = kBlock * 3 / 2;
  Opened on(setting);
  auto block = on.block();
  std::atomic<bool> ran{false};
  on.run(
      [&, data = block->data()] {
        gate.pass();
        std::memset(data, 1, kBlock);
        ran = true;
      },
      {block});
  block.reset();
  std::thread opener([&] { pause(), gate.open(); });
  auto larger = on.block(setting.most - 4096);  // fits only where the other block was
  expect(ran, "a block was returned to the system before the operation that uses it had run");
  opener.join();
  bool refused = false;
  try {
    on.block();
  } catch (const Error& error) {
    refused = error.kind == ErrorKind::out_of_memory;
  }
  expect(refused, "memory that is in use was given out");
}

void callers_far_ahead_wait() {
  Gate gate;
  Opened on;
  std::atomic<Position> enqueued{0};
  std::atomic<bool> ended{false};
  std::thread caller([&] {
    for (Position i = 0; i < 2 * kMostQueued; ++i) {
      on.run([&] { gate.pass(); });
      ++enqueued;
    }
    ended = true;
  });
  while (enqueued < kMostQueued - 1) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  pause();
  expect(!ended && enqueued <= kMostQueued, "a caller enqueued more than the queue may have");
  gate.open();
  caller.join();
  expect(on.settle(), "operations behind a full queue failed");
}

// Of a synchronous device, the queue holds the data; of an asynchronous one, the stream does in the end.
void writes_wait(bool asynchronous) {
  Gate queue, stream;
  Setting setting;
  setting.asynchronous = asynchronous;
  setting.stream = &stream;
  Opened on(setting);
  auto block = on.block();
  std::vector<char> data(kBlock, 7);
  on.run([&] { queue.pass(); });
  std::atomic<size_t> written{0};
  std::thread caller([&] {
    for (int i = 0; i < 100; ++i) {
      on.device->write(block->data(), data.data(), kBlock);
      written += kBlock;
    }
  });
  while (written < kMostStaged) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  pause();
  expect(on.host.in_use() <= kMostStaged + kBlock, "writes took more staging memory than the queue may hold");
  queue.open();
  if (asynchronous) {
    for (size_t before = 0; before != written; pause(), pause()) before = written;
    expect(on.host.in_use() <= 3 * (kMostStaged + kBlock), "writes took more staging memory than a stream may hold");
  }
  stream.open();
  caller.join();
  expect(on.settle(), "writes failed");
  expect(static_cast<char*>(block->data())[kBlock - 1] == 7, "a write is not there");
  // One that is larger than all that may wait goes alone.
  auto large = on.block(2 * kMostStaged);
  std::vector<char> more(2 * kMostStaged, 8);
  on.device->write(large->data(), more.data(), more.size());
  on.device->write(large->data(), more.data(), more.size());
  expect(on.settle(), "a large write failed");
}

void blocks_beside_the_queue_wait_for_what_awaits_them(bool fails) {
  Gate gate;
  Opened on;
  on.join();
  auto block = on.block();
  void* const place = block->data();
  on.device->collect("test", [&, place](Collectives&) { gate.pass(), std::memset(place, 1, kBlock); }, {block}, true);
  block.reset();
  auto second = on.block();
  expect(second->data() != place, "a block that an operation beside the queue uses was given away");
  second.reset();
  if (fails) on.run([] { throw Error(ErrorKind::range, "a failure"); });
  on.device->await_collectives("test", 0);
  auto third = on.block(), fourth = on.block();
  expect(third->data() == place || fourth->data() == place, "what awaits an operation does not free its blocks");
  third.reset(), fourth.reset();
  std::thread opener([&] { pause(), gate.open(); });
  // Returns the blocks to the system as soon as the queue has passed.
  while (on.memory.in_use() > 0) on.device->trim(), std::this_thread::sleep_for(std::chrono::milliseconds(1));
  opener.join();
  expect(on.settle() != fails, "a failure went unreported, or there was another");
}

void graphs_keep_their_blocks() {
  Gate gate;
  Opened on;
  auto block = on.block();
  char* const place = static_cast<char*>(block->data());
  on.device->begin_capture();
  on.run([&, place] { gate.pass(), ++place[0]; }, {block});
  auto graph = on.device->end_capture();
  block.reset();
  expect(on.block()->data() != place, "a block of a graph was given away");
  on.run([&, place] { place[0] = 0; });
  on.device->launch(graph);
  on.device->launch(graph);
  graph->release();
  graph.reset();
  auto first = on.block(), second = on.block();
  expect(first->data() == place || second->data() == place, "a released graph keeps its blocks");
  char seen = 0;
  on.run([&, place] { seen = place[0]; });
  gate.open();
  on.settle();
  expect(seen == 2, "launches of a released graph did not run before what came next");
}

// A device that is closed runs nothing more, and nobody waits for it.
void closed_devices_hold_up_nobody() {
  Setting setting;
  setting.most = kBlock * 3 / 2;
  Opened on(setting);
  Gate gate;
  auto block = on.block();
  on.run([&] { gate.pass(); }, {block});
  on.run([] {}, {block});
  block.reset();
  std::thread opener([&] { pause(), gate.open(); });
  on.device->close();
  opener.join();
  expect(on.block(setting.most - 4096) != nullptr, "a closed device keeps blocks");
  for (Position i = 0; i < 2 * kMostQueued; ++i) on.run([] {});
  std::vector<char> data(kBlock);
  for (int i = 0; i < 40; ++i) on.device->write(nullptr, data.data(), kBlock);
}

}  // namespace

int main() {
  released_blocks_serve_at_once();
  many_outputs_take_one_block();
  the_system_waits_for_the_queue();
  short_memory_waits_for_the_queue();
  callers_far_ahead_wait();
  writes_wait(false);
  writes_wait(true);
  blocks_beside_the_queue_wait_for_what_awaits_them(false);
  blocks_beside_the_queue_wait_for_what_awaits_them(true);
  graphs_keep_their_blocks();
  closed_devices_hold_up_nobody();
  return wrong > 0;
}
