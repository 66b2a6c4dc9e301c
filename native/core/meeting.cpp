#include "meeting.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <optional>
#include <string>
#include <vector>

#include "error.h"
#include "host_name.h"

namespace nextpatch {
namespace {

// The engine has just brought the ranks together.
constexpr double kSeconds = 60;

// What rank 0 tells.
struct Told {
  uint64_t token = 0;
  int64_t port = 0;  // 0: it could not listen
  char host[64] = "";
  char addresses[16][48] = {};
};

template <size_t N>
void put(char (&to)[N], const std::string& text) {
  std::strncpy(to, text.c_str(), N - 1);
}

// Where rank 0 is told to listen; 0: at any free port.
int chosen_port() {
  const char* const text = std::getenv("NEXTPATCH_PORT");
  if (!text || !*text) return 0;
  char* end = nullptr;
  const long port = std::strtol(text, &end, 10);
  if (*end == 0 && port >= 0 && port <= 65535) return int(port);
  throw Error(ErrorKind::device,
              std::string("Ranks.join: NEXTPATCH_PORT: expected a port from 0 to 65535 but received ") + text);
}

void exchange(const Engine& engine, const std::vector<Message>& messages) {
  if (const char* const problem = engine.exchange(messages.data(), messages.size(), true))
    throw Error(ErrorKind::device, std::string("Ranks.join: ") + engine.library() + ": " + problem);
}

std::unique_ptr<Rendezvous> meet_as_first(const Engine& engine, int size) {
  Told told;
  std::optional<Rendezvous::Door> door;
  std::exception_ptr failure;
  try {
    door.emplace(chosen_port());
    told.port = door->port();
    told.token = random_token();
  } catch (const Error&) {
    failure = std::current_exception();
  }
  put(told.host, host_name());
  const std::vector<std::string> addresses = own_addresses();
  for (size_t i = 0; i < std::min(addresses.size(), std::size(told.addresses)); ++i)
    put(told.addresses[i], addresses[i]);
  std::vector<Message> messages;
  for (int other = 1; other < size; ++other) messages.push_back({other, false, &told, sizeof told});
  exchange(engine, messages);
  if (failure) std::rethrow_exception(failure);
  return Rendezvous::accept(std::move(*door), size, told.token, kSeconds);
}

std::unique_ptr<Rendezvous> meet_first(const Engine& engine, int rank, int size) {
  Told told;
  exchange(engine, {{0, true, &told, sizeof told}});
  if (told.port == 0)
    throw Error(ErrorKind::device,
                std::string("Ranks.join: rank 0 on ") + told.host + " could not listen: it says why");
  Meeting meeting{{}, int(told.port), told.token};
  // Where no firewall is, and on a machine without a network.
  if (told.host == host_name()) meeting.addresses.push_back("127.0.0.1");
  for (const auto& address : told.addresses)
    if (address[0] != 0) meeting.addresses.push_back(address);
  return Rendezvous::connect(rank, size, meeting, kSeconds);
}

}  // namespace

std::unique_ptr<Rendezvous> meet_by(const Engine& engine) {
  const int rank = engine.rank(), size = engine.size();
  return rank == 0 ? meet_as_first(engine, size) : meet_first(engine, rank, size);
}

}  // namespace nextpatch
