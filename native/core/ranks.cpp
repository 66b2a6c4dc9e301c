// Device's part in a run of many ranks: joining, the operations on all of them, and leaving.
#include <string>
#include <utility>

#include "device.h"
#include "error.h"
#include "meeting.h"

namespace nextpatch {
namespace {

// For the slowest start of a large job.
constexpr double kMeetSeconds = 300;

}  // namespace

void Device::join(const Engine& engine, double timeout, Done done) {
  queue_->enqueue([this, &engine, timeout, done = std::move(done)] {
    std::exception_ptr failure;
    try {
      if (communication_ && engine_ != &engine)
        throw Error(ErrorKind::device, std::string("Ranks.join: engine: expected that of the first call, ") +
                                           (engine_ ? engine_->library() : "nccl") + ", but received " +
                                           engine.library());
      const bool first = !communication_;
      if (first) communication_ = context_->join(engine);
      if (!communication_)
        throw Error(ErrorKind::device, "Ranks.join: device: expected a cpu device but received " + label());
      engine_ = &engine;
      if (first && engine.size() > 1)
        watch_ = std::make_unique<Watch>(*meet_by(engine), communication_->all(), timeout);
      joined_ = &communication_->all();
    } catch (...) {
      failure = std::current_exception();
    }
    done(failure);
  });
}

void Device::meet(int rank, int size, const std::string& address, int port, double timeout, Done done) {
  queue_->enqueue([this, rank, size, address, port, timeout, done = std::move(done)] {
    std::exception_ptr failure;
    try {
      if (engine_)
        throw Error(ErrorKind::device, std::string("Ranks.join: engine: expected that of the first call, ") +
                                           engine_->library() + ", but received nccl");
      if (communication_ && !joined_)
        throw Error(ErrorKind::device,
                    "Ranks.join: device: expected one that has not failed to join but received " + label());
      if (!communication_) {
        const auto ranks = Rendezvous::open(rank, size, address, port, kMeetSeconds);
        communication_ = context_->meet(*ranks);
        if (communication_) open(*ranks, timeout);
      }
      if (!communication_)
        throw Error(ErrorKind::device, "Ranks.join: device: expected a cuda device but received " + label());
      joined_ = &communication_->all();
    } catch (...) {
      failure = std::current_exception();
    }
    done(failure);
  });
}

void Device::open(Rendezvous& ranks, double timeout) {
  if (ranks.size() > 1) watch_ = std::make_unique<Watch>(ranks, communication_->all(), timeout);
  try {
    communication_->all().open();
  } catch (...) {
    watch_.reset();  // tells the others
    throw;
  }
}

void Device::collect(const char* name, std::function<void(Collectives&)> operation,
                     std::vector<std::shared_ptr<Storage>> owned, bool beside) {
  require_device();
  const bool captured = capture_ != nullptr;  // then a launch counts it, and the graph owns what it uses
  if (captured) {
    ++capture_->collectives_;
  } else {
    ++unfinished_;
  }
  if (beside && !captured) beside_.push_back(owned);
  run(
      name,
      [this, captured, beside, operation = std::move(operation)](Kernels&) {
        communication_->enqueue(
            [this, captured, operation](Collectives& all) {
              const Finished finished(unfinished_, captured ? 0 : 1);
              operation(all);
            },
            beside);
      },
      std::move(owned));
  if (!beside && !captured) beside_.clear();
}

void Device::await_collectives(const char* name, size_t left) {
  run(name, [this, left](Kernels&) { join_communication(left); }, {});
  if (capture_) return;
  while (beside_.size() > left) beside_.pop_front();
}

void Device::join_communication(size_t left) {
  if (communication_) communication_->await(left);
}

void Device::begin_step() {
  if (watch_) watch_->step();
}

void Device::leave_loop(Done done) {
  if (!watch_) return done(nullptr);
  watch_->depart([done = std::move(done)](const std::string& problem) {
    done(problem.empty() ? nullptr : std::make_exception_ptr(Error(ErrorKind::device, problem)));
  });
}

void Device::leave(Done done) {
  const auto leave = [this](Collectives& all) {
    all.leave();
    if (watch_) watch_->leave();
  };
  collect("Ranks.leave", leave, {});
  left_ = true;
  synchronize(std::move(done));
}

std::string Device::close(bool in_order) {
  std::string problem;
  Collectives* const ranks = joined_;
  const bool left = left_.exchange(true);
  if (unfinished_ > 0) {
    problem =
        "rank " + std::to_string(ranks->info().rank) +
        ": the process ended with operations on all ranks in its queue: await device.synchronize() before it ends";
  }
  if (ranks && !left && in_order && problem.empty()) {
    queue_->close([&] {
      try {
        ranks->leave();
        if (watch_) watch_->leave();
      } catch (const std::exception& error) {
        problem = error.what();
      }
    });
  } else {
    if (watch_) watch_->fail();  // before the operations that the others wait in end
    if (ranks && !(left && unfinished_ == 0)) ranks->stop();
    queue_->close();
  }
  if (watch_) watch_->fail();
  waiter_->close();
  return problem;
}

}  // namespace nextpatch
