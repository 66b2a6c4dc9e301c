#include "rendezvous.h"

#include <poll.h>
#include <sys/random.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <thread>

#include "error.h"
#include "host_name.h"
#include "version.h"

namespace nextpatch {
namespace {

constexpr char kMagic[8] = {'n', 'x', 't', 'p', 'a', 't', 'c', 'h'};

// What a rank says first, and what rank 0 answers. In the order of bytes of all machines that this runs on.
struct Hello {
  char magic[8];
  char version[24];
  uint64_t token;
  int32_t rank;
  int32_t size;
};
static_assert(sizeof(Hello) == 48);

enum Answer : uint32_t { kWelcome, kOtherVersion, kOtherRun, kOtherSize, kTaken };
struct Reply {
  char magic[8];
  uint32_t answer;
  int32_t size;
  char version[24];
};
static_assert(sizeof(Reply) == 40);

// Connections that have not said all of their hello: more of them, or slower ones, are no ranks.
constexpr size_t kMostKnocking = 256;
constexpr double kHelloSeconds = 5;
constexpr auto kPause = std::chrono::milliseconds(100);

constexpr const char* kAdvice =
    "check that rank 0 runs, and that a firewall lets this port through (NEXTPATCH_PORT sets another)";

std::string rank_text(int rank) { return "Ranks.join: rank " + std::to_string(rank) + " on " + host_name() + ": "; }
std::string seconds_text(double seconds) { return std::to_string(int64_t(seconds + 0.5)) + " s"; }

[[noreturn]] void fail(const std::string& text) { throw Error(ErrorKind::device, text); }

Reply reply_of(Answer answer, int size) {
  Reply reply{};
  std::memcpy(reply.magic, kMagic, sizeof kMagic);
  std::strncpy(reply.version, version(), sizeof reply.version - 1);
  reply.answer = answer;
  reply.size = size;
  return reply;
}

// Of a launcher's names of a run, which all of its ranks have.
uint64_t launched_token() {
  uint64_t hash = 14695981039346656037u;  // FNV-1a
  for (const char* name : {"TORCHELASTIC_RUN_ID", "SLURM_JOB_ID", "SLURM_STEP_ID"}) {
    const char* const value = std::getenv(name);
    for (const char* at = value ? value : ""; *at != 0; ++at) hash = (hash ^ uint8_t(*at)) * 1099511628211u;
    hash = (hash ^ '/') * 1099511628211u;
  }
  return hash;
}

// A connection that may become a rank's.
struct Knocking {
  Socket socket;
  Deadline deadline;
  Hello hello{};
  size_t bytes = 0;
};

// Takes what has come. Returns whether the connection is done with: it has said its hello, or can be no rank.
bool heard(Knocking& knocking) {
  char* const hello = reinterpret_cast<char*>(&knocking.hello);
  for (;;) {
    const long received = receive_some(knocking.socket, hello + knocking.bytes, sizeof(Hello) - knocking.bytes);
    if (received < 0) return Clock::now() >= knocking.deadline;
    if (received == 0) return true;
    knocking.bytes += size_t(received);
    if (std::memcmp(hello, kMagic, std::min(knocking.bytes, sizeof kMagic)) != 0) return true;
    if (knocking.bytes == sizeof(Hello)) return true;
  }
}

Answer answer_to(const Hello& hello, int size, uint64_t token, const std::vector<Socket>& sockets) {
  if (std::strncmp(hello.version, version(), sizeof hello.version) != 0) return kOtherVersion;
  if (hello.token != token) return kOtherRun;
  if (hello.size != size) return kOtherSize;
  if (hello.rank < 1 || hello.rank >= size || sockets[size_t(hello.rank)]) return kTaken;
  return kWelcome;
}

std::string missing_text(const std::vector<Socket>& sockets) {
  std::string missing;
  int count = 0;
  for (size_t rank = 1; rank < sockets.size(); ++rank) {
    if (sockets[rank]) continue;
    if (++count <= 8) missing += (count == 1 ? "" : ", ") + std::to_string(rank);
  }
  return std::to_string(int(sockets.size()) - count) + ", without " + (count == 1 ? "rank " : "ranks ") + missing +
         (count > 8 ? ", ..." : "");
}

}  // namespace

uint64_t random_token() {
  uint64_t token = 0;
  if (getrandom(&token, sizeof token, 0) != long(sizeof token)) fail("Ranks.join: no random number could be had");
  return token;
}

Rendezvous::Door::Door(int port) {
  try {
    listener_ = listen_at(port);
  } catch (const Error& error) {
    fail("Ranks.join: port " + std::to_string(port) + ": expected one that is free on " + host_name() +
         " but received: " + error.what() + "; NEXTPATCH_PORT sets another");
  }
}

std::unique_ptr<Rendezvous> Rendezvous::open(int rank, int size, const std::string& address, int port, double seconds) {
  const uint64_t token = launched_token();
  if (rank == 0) return accept(Door(port), size, token, seconds);
  return connect(rank, size, {{address}, port, token}, seconds);
}

std::unique_ptr<Rendezvous> Rendezvous::accept(Door door, int size, uint64_t token, double seconds) {
  std::unique_ptr<Rendezvous> made(new Rendezvous(0, size, seconds));
  std::vector<Socket>& sockets = made->sockets_;
  sockets.resize(size_t(size));
  const Deadline deadline = deadline_in(seconds);
  std::vector<Knocking> knocking;
  const auto all_are_here = [&] {
    return std::all_of(sockets.begin() + 1, sockets.end(), [](const Socket& socket) { return bool(socket); });
  };
  while (!all_are_here()) {
    if (Clock::now() >= deadline) {
      fail(rank_text(0) + "expected " + std::to_string(size) + " ranks at port " + std::to_string(door.port()) +
           " within " + seconds_text(seconds) + " but received " + missing_text(sockets) +
           "; check that all of them run, and that a firewall lets this port through (NEXTPATCH_PORT sets another)");
    }
    std::vector<pollfd> waited{{door.listener_.fd(), POLLIN, 0}};
    for (const Knocking& each : knocking) waited.push_back({each.socket.fd(), POLLIN, 0});
    poll(waited.data(), waited.size(), std::min(100, milliseconds_to(deadline)));
    // One that came and went, such as a rank that was started again.
    for (Socket& socket : sockets) {
      if (socket && is_closed(socket)) socket.close();
    }
    while (knocking.size() < kMostKnocking) {
      Socket socket = accept_from(door.listener_);
      if (!socket) break;
      knocking.push_back({std::move(socket), deadline_in(kHelloSeconds)});
    }
    for (Knocking& each : knocking) {
      if (!heard(each)) continue;
      Socket socket = std::move(each.socket);
      if (each.bytes < sizeof(Hello) || std::memcmp(each.hello.magic, kMagic, sizeof kMagic) != 0) continue;
      const Answer answer = answer_to(each.hello, size, token, sockets);
      const Reply reply = reply_of(answer, size);
      if (send_some(socket, &reply, sizeof reply) != long(sizeof reply) || answer != kWelcome) continue;
      sockets[size_t(each.hello.rank)] = std::move(socket);
    }
    const auto gone = [](const Knocking& each) { return !each.socket; };
    knocking.erase(std::remove_if(knocking.begin(), knocking.end(), gone), knocking.end());
  }
  return made;
}

std::unique_ptr<Rendezvous> Rendezvous::connect(int rank, int size, const Meeting& meeting, double seconds) {
  std::unique_ptr<Rendezvous> made(new Rendezvous(rank, size, seconds));
  const Deadline deadline = deadline_in(seconds);
  Hello hello{};
  std::memcpy(hello.magic, kMagic, sizeof kMagic);
  std::strncpy(hello.version, version(), sizeof hello.version - 1);
  hello.token = meeting.token;
  hello.rank = rank;
  hello.size = size;
  std::string problem = "no address";
  for (;;) {
    for (const std::string& address : meeting.addresses) {
      const std::string there = "expected rank 0 at " + address + " port " + std::to_string(meeting.port);
      Reply reply{};
      try {
        Socket socket = connect_to(address, meeting.port, deadline);
        const Deadline patience = std::min(deadline, deadline_in(kHelloSeconds));
        send_all(socket, &hello, sizeof hello, patience);
        receive_all(socket, &reply, sizeof reply, patience);
        if (std::memcmp(reply.magic, kMagic, sizeof kMagic) == 0 && reply.answer == kWelcome) {
          made->sockets_.push_back(std::move(socket));
          return made;
        }
        problem = there;
        if (std::memcmp(reply.magic, kMagic, sizeof kMagic) != 0) {
          problem += " but received what is no rank";
        } else if (reply.answer == kTaken) {
          problem += " without a rank " + std::to_string(rank) +
                     " but received that it has one: two processes have its number";
        } else {
          problem += " but received one of another run";
        }
      } catch (const Error& error) {
        problem = there + " within " + seconds_text(seconds) + " but received: " + error.what();
      }
      if (std::memcmp(reply.magic, kMagic, sizeof kMagic) != 0) continue;
      // These do not pass.
      reply.version[sizeof reply.version - 1] = 0;
      if (reply.answer == kOtherVersion)
        fail(rank_text(rank) + "expected nextpatch " + version() + " as here but received " + reply.version +
             " on rank 0");
      if (reply.answer == kOtherSize)
        fail(rank_text(rank) + "expected " + std::to_string(size) + " ranks as here but received " +
             std::to_string(reply.size) + " on rank 0");
    }
    if (Clock::now() + kPause >= deadline) fail(rank_text(rank) + problem + "; " + kAdvice);
    std::this_thread::sleep_for(kPause);
  }
}

template <typename Part>
void Rendezvous::with_rank(int other, const Part& part) {
  try {
    part(sockets_[size_t(other)]);
  } catch (const Error& error) {
    fail(rank_text(rank_) + "expected an answer of rank " + std::to_string(other) + " but received: " + error.what());
  }
}

void Rendezvous::broadcast(void* data, size_t bytes) {
  const Deadline deadline = deadline_in(seconds_);
  if (rank_ != 0) return with_rank(0, [&](const Socket& socket) { receive_all(socket, data, bytes, deadline); });
  for (int other = 1; other < size_; ++other)
    with_rank(other, [&](const Socket& socket) { send_all(socket, data, bytes, deadline); });
}

void Rendezvous::all_gather(const void* own, void* all, size_t bytes) {
  const Deadline deadline = deadline_in(seconds_);
  if (rank_ != 0) {
    with_rank(0, [&](const Socket& socket) { send_all(socket, own, bytes, deadline); });
  } else {
    std::memcpy(all, own, bytes);
    for (int other = 1; other < size_; ++other) {
      char* const theirs = static_cast<char*>(all) + size_t(other) * bytes;
      with_rank(other, [&](const Socket& socket) { receive_all(socket, theirs, bytes, deadline); });
    }
  }
  broadcast(all, bytes * size_t(size_));
}

}  // namespace nextpatch
