#include "liveness.h"

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "error.h"
#include "host_name.h"

namespace nextpatch {
namespace {

using std::chrono::milliseconds;

constexpr double kSilenceSeconds = 10;
constexpr milliseconds kInterval(1000);
// Bytes that are kept for a rank that takes none; then its beats are left out.
constexpr size_t kMostUnsent = size_t(1) << 16;
// Before a process ends for another: so long the launcher has to see the other's end first, and a rank that ends by an
// error of its own to tell it.
constexpr milliseconds kGrace(500);
constexpr milliseconds kFailureGrace(1000);

Clock::duration silence_limit() {
  const char* const text = std::getenv("NEXTPATCH_SILENCE");
  char* end = nullptr;
  const double seconds = text && *text ? std::strtod(text, &end) : kSilenceSeconds;
  if ((end && *end != 0) || !(seconds > 0))
    throw Error(ErrorKind::device,
                std::string("Ranks.join: NEXTPATCH_SILENCE: expected seconds above 0 but received ") + text);
  return milliseconds(int64_t(1000 * std::min(seconds, 1e9)));
}

std::string seconds_text(double seconds) {
  std::string text = std::to_string(seconds);
  text.erase(text.find_last_not_of('0') + 1);
  if (text.back() == '.') text.pop_back();
  return text + " s";
}

std::vector<std::string> gather_hosts(Rendezvous& ranks) {
  using Name = std::array<char, 64>;
  Name own{};
  std::strncpy(own.data(), host_name().c_str(), own.size() - 1);
  std::vector<Name> all(size_t(ranks.size()));
  ranks.all_gather(own.data(), all.data(), sizeof(Name));
  std::vector<std::string> hosts;
  for (const Name& name : all) hosts.emplace_back(name.data(), strnlen(name.data(), name.size()));
  return hosts;
}

}  // namespace

Watch::Watch(Rendezvous& ranks, Collectives& watched, double timeout)
    : watched_(watched),
      rank_(ranks.rank()),
      hosts_(gather_hosts(ranks)),
      silence_(silence_limit()),
      interval_(std::min<Clock::duration>(kInterval, silence_ / 5)),
      timeout_(timeout),
      changed_(Clock::now()) {
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0)
    throw Error(ErrorKind::device,
                "Ranks.join: expected a pair of sockets but received: " + std::string(strerror(errno)));
  wakes_ = Socket(ends[0]);
  woken_ = Socket(ends[1]);
  std::vector<Socket> sockets = ranks.release();
  for (size_t i = 0; i < sockets.size(); ++i)
    if (sockets[i]) peers_.push_back({rank_ == 0 ? int(i) : 0, std::move(sockets[i]), Clock::now(), {}, "", ""});
  thread_ = std::thread([this] { run(); });
}

void Watch::depart(std::function<void(const std::string&)> done) {
  {
    std::lock_guard<std::mutex> lock(departing_mutex_);
    departing_ = std::move(done);
  }
  std::lock_guard<std::mutex> lock(closing_);
  if (thread_.joinable()) send_some(wakes_, "", 1);
}

void Watch::close(Kind kind) {
  std::lock_guard<std::mutex> lock(closing_);
  if (!thread_.joinable()) return;
  wakes_.close();
  thread_.join();
  send_all_peers(kind);
  // A connection that is closed with something unread in it is reset.
  char bytes[1024];
  for (const Peer& peer : peers_)
    while (receive_some(peer.socket, bytes, sizeof bytes) > 0) continue;
  peers_.clear();
}

void Watch::run() {
  Clock::time_point last = Clock::now(), next = last;
  for (;;) {
    const Clock::time_point now = Clock::now();
    // This process was stopped itself: what the others did meanwhile it cannot know.
    if (now - last > silence_ / 2) {
      for (Peer& peer : peers_) peer.heard = now;
      changed_ = now;
    }
    last = now;
    if (now >= next) {
      const Frame frame = beat();
      for (Peer& peer : peers_) send(peer, frame);
      check_silence();
      if (rank_ == 0) check_hang();
      next = now + interval_;
    }
    std::vector<pollfd> waited{{woken_.fd(), POLLIN, 0}};
    for (const Peer& peer : peers_) waited.push_back({peer.socket.fd(), POLLIN, 0});
    poll(waited.data(), waited.size(), milliseconds_to(next));
    if (waited[0].revents != 0) {
      char bytes[64];
      if (receive_some(woken_, bytes, sizeof bytes) <= 0) return;
      next = Clock::now();
    }
    for (Peer& peer : peers_) take(peer);
    if (rank_ == 0) check_departure();
    const auto has_left = [](const Peer& peer) { return peer.last.kind == kLeft; };
    peers_.erase(std::remove_if(peers_.begin(), peers_.end(), has_left), peers_.end());
  }
}

void Watch::take(Peer& peer) {
  char bytes[1024];
  for (;;) {
    const long count = receive_some(peer.socket, bytes, sizeof bytes);
    if (count < 0) return;
    if (count == 0) missed(peer, "was lost: its connection was closed");
    peer.heard = Clock::now();
    peer.received.append(bytes, size_t(count));
    while (peer.received.size() >= sizeof(Frame)) {
      Frame frame;
      std::memcpy(&frame, peer.received.data(), sizeof(Frame));
      peer.received.erase(0, sizeof(Frame));
      if (frame.kind == kAllDeparted || frame.kind == kWentOn) {
        departed(frame);
        continue;
      }
      peer.last = frame;
      if (peer.last.kind == kLeft) return;
      if (peer.last.kind == kFailed) end("", kFailureGrace);
      if (peer.last.kind == kEnd) end("", kGrace);
      if (peer.last.kind != kBeat) missed(peer, "was lost: its connection brought what no rank sends");
    }
  }
}

Watch::Frame Watch::beat() {
  const Progress now = watched_.progress();
  if (!now.waits || now.begun != progress_.begun || now.advanced != progress_.advanced) changed_ = Clock::now();
  progress_ = now;
  const auto waited = std::chrono::duration_cast<milliseconds>(Clock::now() - changed_).count();
  std::lock_guard<std::mutex> lock(departing_mutex_);
  return {kBeat, uint32_t(std::min<int64_t>(waited, UINT32_MAX)), now.begun, steps_, departing_ ? departures_ + 1 : 0};
}

std::vector<std::pair<int, Watch::Frame>> Watch::beats() {
  std::vector<std::pair<int, Frame>> all{{0, beat()}};
  for (const Peer& peer : peers_) all.push_back({peer.rank, peer.last});
  return all;
}

// A rank that has begun a later step has gone on. All waits are for the next departure: a beat that tells of an earlier
// one was sent before its end was known.
void Watch::check_departure() {
  const std::vector<std::pair<int, Frame>> all = beats();
  const auto waits = [&](const Frame& frame) { return frame.departure == departures_ + 1; };
  const auto together = [&](const auto& each) {
    return waits(each.second) && each.second.steps == all.front().second.steps;
  };
  Frame answer{kAllDeparted, 0, 0, 0, departures_ + 1};
  if (std::all_of(all.begin(), all.end(), together)) {
    for (Peer& peer : peers_) send(peer, answer);
    departed(answer);
    return;
  }
  answer.kind = kWentOn;
  for (const auto& [rank, frame] : all) {
    if (!waits(frame)) continue;
    const uint64_t steps = frame.steps;
    const auto later = [&](const auto& each) { return each.second.steps > steps; };
    const auto found = std::find_if(all.begin(), all.end(), later);
    if (found == all.end()) continue;
    answer.begun = uint64_t(found->first);
    if (rank == 0) departed(answer);
    for (Peer& peer : peers_) {
      if (peer.rank != rank) continue;
      send(peer, answer);
      peer.last.departure = 0;  // it is answered
    }
  }
}

void Watch::departed(const Frame& answer) {
  std::function<void(const std::string&)> done;
  {
    std::lock_guard<std::mutex> lock(departing_mutex_);
    std::swap(done, departing_);
    if (answer.kind == kAllDeparted) departures_ = answer.departure;
  }
  const std::string own = name(rank_) + " left the loop, but ";
  if (done) done(answer.kind == kAllDeparted ? "" : own + name(int(answer.begun)) + " went on");
}

void Watch::send(Peer& peer, const Frame& frame) {
  if (peer.unsent.size() < kMostUnsent) peer.unsent.append(reinterpret_cast<const char*>(&frame), sizeof frame);
  while (!peer.unsent.empty()) {
    const long sent = send_some(peer.socket, peer.unsent.data(), peer.unsent.size());
    if (sent <= 0) break;  // full, or closed: reading tells
    peer.unsent.erase(0, size_t(sent));
  }
}

void Watch::send_all_peers(Kind kind) {
  for (Peer& peer : peers_) send(peer, {kind, 0, 0, 0, 0});
}

void Watch::check_silence() {
  for (const Peer& peer : peers_) {
    if (Clock::now() - peer.heard <= silence_) continue;
    missed(peer, "was silent for " + seconds_text(std::chrono::duration<double>(silence_).count()));
  }
}

// A beat is an interval old, so that whoever counts as absent had two of them to come.
void Watch::check_hang() {
  const double limit = 1000 * timeout_ + 2000 * std::chrono::duration<double>(interval_).count();
  const std::vector<std::pair<int, Frame>> all = beats();
  const std::pair<int, Frame>* waiting = nullptr;
  for (const auto& each : all)
    if (each.second.waited >= limit && (!waiting || each.second.begun > waiting->second.begun)) waiting = &each;
  if (!waiting) return;
  std::string absent;
  int count = 0;
  for (const auto& [rank, frame] : all) {
    if (frame.begun >= waiting->second.begun) continue;
    if (++count <= 4) absent += (count == 1 ? "" : ", ") + name(rank);
  }
  if (count > 4) absent += " and " + std::to_string(count - 4) + " more";
  const std::string where = "the operation on all ranks that " + name(waiting->first) + " has waited in for " +
                            seconds_text(timeout_) + " (timeout)";
  if (count == 0) end("all ranks have come to " + where + ", and it does not end; so all ranks end", kGrace);
  end(absent + (count == 1 ? " has" : " have") + " not come to " + where + "; so all ranks end", kGrace);
}

std::string Watch::name(int rank) const { return "rank " + std::to_string(rank) + " on " + hosts_[size_t(rank)]; }

void Watch::missed(const Peer& peer, const std::string& what) {
  // Of those that miss rank 0, the first one on each machine.
  bool tells = rank_ == 0 || rank_ == 1 || hosts_[size_t(rank_)] != hosts_[0];
  for (int rank = 1; rank < rank_; ++rank) tells = tells && hosts_[size_t(rank)] != hosts_[size_t(rank_)];
  end(tells ? name(peer.rank) + " " + what + "; so all ranks end" : "", kGrace);
}

void Watch::end(const std::string& line, milliseconds grace) {
  send_all_peers(kEnd);  // to rank 0, too, which may only have been stopped
  if (!line.empty()) {
    const std::string text = "nextpatch: " + line + "\n";
    [[maybe_unused]] const ssize_t written = write(STDERR_FILENO, text.data(), text.size());
  }
  std::this_thread::sleep_for(grace);
  watched_.abandon();
  _exit(1);
}

}  // namespace nextpatch
