// A rank that finds the others and exchanges something with them. Arguments: rank, size, address, port, seconds, token; as
// token "launched": the launcher's. Prints "port N" (rank 0), "all NUMBER...", and "told NUMBER", or the error.
#include "../../native/core/rendezvous.h"

#include <cstdio>
#include <cstdlib>
#include <string>
#include <utility>

#include "../../native/core/error.h"

using nextpatch::Rendezvous;

static std::unique_ptr<Rendezvous> found(char** args) {
  const int rank = std::atoi(args[0]), size = std::atoi(args[1]), port = std::atoi(args[3]);
  const double seconds = std::atof(args[4]);
  if (std::string(args[5]) == "launched") return Rendezvous::open(rank, size, args[2], port, seconds);
  const uint64_t token = std::strtoull(args[5], nullptr, 10);
  if (rank != 0) return Rendezvous::connect(rank, size, {{args[2]}, port, token}, seconds);
  Rendezvous::Door door(port);
  std::printf("port %d\n", door.port());
  std::fflush(stdout);
  return Rendezvous::accept(std::move(door), size, token, seconds);
}

int main(int count, char** args) {
  if (count != 7) return 2;
  try {
    const auto ranks = found(args + 1);
    const int own = 100 + ranks->rank();
    std::vector<int> all(size_t(ranks->size()));
    ranks->all_gather(&own, all.data(), sizeof own);
    std::printf("all");
    for (const int each : all) std::printf(" %d", each);
    int told = ranks->rank() == 0 ? 7 : 0;
    ranks->broadcast(&told, sizeof told);
    std::printf("\ntold %d\n", told);
    return 0;
  } catch (const nextpatch::Error& error) {
    std::printf("%s\n", error.what());
    return 1;
  }
}
