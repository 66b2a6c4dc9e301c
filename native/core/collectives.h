// Operations that all ranks of a run take part in, each rank with a device of its own: `Kernels` for more than one
// process. A context that has joined ranks has them.
//
// All ranks call the same operations in the same order on tensors of the same sizes; another call of one rank is an
// Error of kind device on all of them.
//
// A sum is made in the order of the ranks, ((x0 + x1) + x2) + ..., so its bits depend on N, the number of ranks, and on
// nothing else: not on which machine a rank is on, nor on the engine.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>

#include "view.h"

namespace nextpatch {

struct RankInfo {
  int rank = 0;
  int size = 1;
  std::string host;
};

// How far a rank is in these operations: where it waits in one and nothing changes, it waits for other ranks.
struct Progress {
  uint64_t begun = 0;     // operations that it has come to
  uint64_t advanced = 0;  // parts of them that are done
  bool waits = false;     // in one; never in leave, in which a rank may wait for as long as the others like
};

class Collectives {
 public:
  virtual ~Collectives() = default;

  // The last part of joining, which waits for all ranks, for ever if one is lost: who calls it watches over them.
  virtual void open() {}

  virtual RankInfo info() const = 0;
  // Bytes of tensors that this rank has sent to others. Any thread.
  virtual uint64_t sent_bytes() const = 0;

  // Any thread.
  virtual Progress progress() const { return {}; }

  // out[n/N] f32 = block `rank` of the sum over the ranks of in[n] f32. out may be that block of in.
  virtual void reduce_scatter(const View& out, const View& in) = 0;
  // out[n] = the ranks' in[n/N], one after the other. Any dtype. in may be block `rank` of out.
  virtual void all_gather(const View& out, const View& in) = 0;
  // values[n] f32 = their sum over the ranks.
  virtual void all_reduce(const View& values) = 0;

  // Waits until all ranks have called it; none may call anything after it.
  virtual void leave() = 0;
  // Ends the operation that is running, and all later ones, with an Error. Any thread.
  virtual void stop() = 0;
  // Ends what a device runs for others that are gone, and tells of nothing any more: the process ends next. Any thread.
  virtual void abandon() {}
};

// The place of these operations in a device's queue: one after another in the order of the calls, each behind the work
// that came before it in the queue, and beside the work that comes after it if the caller says so. Queue thread only.
class Communication {
 public:
  virtual ~Communication() = default;

  // For what any thread may call.
  virtual Collectives& all() = 0;
  // The queue's later work waits for the operation; `beside`: only where `await` says so.
  virtual void enqueue(std::function<void(Collectives&)> operation, bool beside) = 0;
  // The queue's later work waits for all operations beside it but the last `left`. Throws the Error of one that failed.
  virtual void await(size_t left) = 0;
};

}  // namespace nextpatch
