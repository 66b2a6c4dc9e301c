// How ranks find one another: a TCP connection of each to rank 0, which carries no tensors. Rank 0 listens until all
// have come, and not longer; what is no rank of this run is refused. Made for a network that is trusted, like MPI and
// NCCL: it is neither encrypted nor safe from who listens to it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "socket.h"

namespace nextpatch {

// Where rank 0 is, as the others are told.
struct Meeting {
  std::vector<std::string> addresses;  // numbers or names, tried one after the other
  int port = 0;
  uint64_t token = 0;  // of this run: another run's ranks have another
};

class Rendezvous {
 public:
  // Rank 0's door, at which the others may knock from here on; port 0: any free one.
  class Door {
   public:
    // Throws an Error that names the port.
    explicit Door(int port);
    int port() const { return port_of(listener_); }

   private:
    friend class Rendezvous;
    Socket listener_;
  };

  // Rank 0 listens at port (0: any) on all addresses; the others connect to address:port. Their token is made of what
  // launchers tell all ranks of a run (TORCHELASTIC_RUN_ID, SLURM_JOB_ID, SLURM_STEP_ID). Rank 0 waits for all, the
  // others for rank 0; after so many seconds they throw an Error of kind device with rank, address, port and what to
  // check.
  static std::unique_ptr<Rendezvous> open(int rank, int size, const std::string& address, int port, double seconds);
  // The same in two halves, for who has to tell the others the port.
  static std::unique_ptr<Rendezvous> accept(Door door, int size, uint64_t token, double seconds);
  static std::unique_ptr<Rendezvous> connect(int rank, int size, const Meeting& meeting, double seconds);

  virtual ~Rendezvous() = default;

  int rank() const { return rank_; }
  int size() const { return size_; }

  // Both are called by all ranks in the same order, and wait for them up to the seconds of `open`; they throw an
  // Error of kind device. Virtual, so that libraries that do not have this class's code may call them.
  // rank 0's bytes to all.
  virtual void broadcast(void* data, size_t bytes);
  // all[i * bytes] = rank i's own[bytes].
  virtual void all_gather(const void* own, void* all, size_t bytes);

  // Rank 0: those to the others, by their ranks, the first one empty. The others: that to rank 0 alone. Nothing else
  // may be called after it.
  std::vector<Socket> release() { return std::move(sockets_); }

 private:
  Rendezvous(int rank, int size, double seconds) : rank_(rank), size_(size), seconds_(seconds) {}
  template <typename Part>
  void with_rank(int other, const Part& part);

  int rank_;
  int size_;
  double seconds_;
  std::vector<Socket> sockets_;
};

// A token that no other run has.
uint64_t random_token();

}  // namespace nextpatch
