// The engine on MPI: compiled once for each MPI whose headers are there, as their binary interfaces differ.
#include <mpi.h>
#include <sched.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <string>
#include <thread>
#include <vector>

#include "../core/host_name.h"
#include "../core/version.h"
#include "engine.h"

namespace {

using nextpatch::Message;
using Clock = std::chrono::steady_clock;

// MPI counts bytes in an int.
constexpr size_t kMostBytes = size_t(1) << 30;
constexpr int kTag = 17;
// A wait spins this long, then lets other threads of the core run between its looks; a patient one soon sleeps.
constexpr auto kSpin = std::chrono::microseconds(50);
constexpr auto kYield = std::chrono::milliseconds(2);
constexpr auto kSleep = std::chrono::microseconds(100);

struct State {
  MPI_Comm ranks = MPI_COMM_NULL;  // ours alone, so that no other user of MPI in the process gets our messages
  int rank = 0;
  int size = 1;
  std::string host;
  std::string problem;  // of the last call
  std::atomic<bool> stopped{false};
};

State& state() {
  static State* const state = new State;  // never destroyed: a thread may be in it when the process ends
  return *state;
}

const char* problem(const std::string& text) {
  state().problem = text;
  return state().problem.c_str();
}

std::string text_of(int error) {
  char text[MPI_MAX_ERROR_STRING];
  int length = 0;
  if (MPI_Error_string(error, text, &length) != MPI_SUCCESS) return "error " + std::to_string(error);
  return std::string(text, size_t(length));
}

const char* library() {
  // "Open MPI v4.1.4, package: ..." or "MPICH Version:\t4.0.2\nMPICH Release date: ...". Read once.
  static const std::string name = [] {
    char text[MPI_MAX_LIBRARY_VERSION_STRING];
    int length = 0;
    if (MPI_Get_library_version(text, &length) != MPI_SUCCESS) return std::string("MPI");
    std::string line(text, size_t(length));
    line.resize(std::min(line.size(), line.find_first_of(",\n")));
    for (const auto& [from, to] : {std::pair(" Version:\t", " "), std::pair("MPI v", "MPI ")}) {
      if (const size_t at = line.find(from); at != std::string::npos) line.replace(at, std::string(from).size(), to);
    }
    line.erase(line.find_last_not_of(" \t") + 1);
    return line;
  }();
  return name.c_str();
}

const char* start() {
  State& s = state();
  int begun = 0;
  MPI_Initialized(&begun);
  if (begun) return problem("MPI was already started in this process, which can be one rank once");
  int provided = 0;
  if (const int error = MPI_Init_thread(nullptr, nullptr, MPI_THREAD_SERIALIZED, &provided); error != MPI_SUCCESS)
    return problem("MPI_Init_thread: " + text_of(error));
  if (provided < MPI_THREAD_SERIALIZED)
    return problem("expected an MPI with MPI_THREAD_SERIALIZED but received one without");
  if (const int error = MPI_Comm_dup(MPI_COMM_WORLD, &s.ranks); error != MPI_SUCCESS)
    return problem("MPI_Comm_dup: " + text_of(error));
  // MPICH reports an error of several requests to the world's handler.
  for (const MPI_Comm ranks : {s.ranks, MPI_COMM_WORLD}) MPI_Comm_set_errhandler(ranks, MPI_ERRORS_RETURN);
  MPI_Comm_rank(s.ranks, &s.rank);
  MPI_Comm_size(s.ranks, &s.size);
  s.host = nextpatch::host_name();
  return nullptr;
}

// Waits until all are done. Returns an MPI error.
int wait_for(std::vector<MPI_Request>& requests, std::vector<MPI_Status>& statuses, bool patient) {
  const auto begin = Clock::now();
  for (;;) {
    int done = 0;
    const int error = MPI_Testall(int(requests.size()), requests.data(), &done, statuses.data());
    if (error != MPI_SUCCESS || done) return error;
    if (state().stopped) return MPI_ERR_PENDING;
    const auto waited = Clock::now() - begin;
    if (patient && waited > kYield) {
      std::this_thread::sleep_for(kSleep);
    } else if (waited > kSpin) {
      sched_yield();
    }
  }
}

const char* exchange(const Message* messages, size_t count, bool patient) {
  State& s = state();
  if (s.stopped) return problem("this rank is leaving");
  std::vector<MPI_Request> requests;
  std::vector<int> received;  // bytes expected of each request; -1: it sends
  for (const bool receive : {true, false}) {
    for (const Message* message = messages; message != messages + count; ++message) {
      if (message->receive != receive) continue;
      for (size_t at = 0; at < message->bytes; at += kMostBytes) {
        char* const data = static_cast<char*>(message->data) + at;
        const int bytes = int(std::min(kMostBytes, message->bytes - at));
        requests.push_back(MPI_REQUEST_NULL);
        received.push_back(receive ? bytes : -1);
        const int error = receive ? MPI_Irecv(data, bytes, MPI_BYTE, message->peer, kTag, s.ranks, &requests.back())
                                  : MPI_Isend(data, bytes, MPI_BYTE, message->peer, kTag, s.ranks, &requests.back());
        if (error != MPI_SUCCESS) return problem(text_of(error));
      }
    }
  }
  std::vector<MPI_Status> statuses(requests.size());
  const int error = wait_for(requests, statuses, patient);
  if (s.stopped) return problem("this rank is leaving");
  if (error == MPI_ERR_IN_STATUS) {
    for (const MPI_Status& status : statuses)
      if (status.MPI_ERROR != MPI_SUCCESS && status.MPI_ERROR != MPI_ERR_PENDING)
        return problem(text_of(status.MPI_ERROR));
  }
  if (error != MPI_SUCCESS) return problem(text_of(error));
  for (size_t i = 0; i < requests.size(); ++i) {
    int bytes = 0;
    if (received[i] < 0) continue;
    MPI_Get_count(&statuses[i], MPI_BYTE, &bytes);
    if (bytes != received[i])
      return problem("expected " + std::to_string(received[i]) + " bytes of rank " +
                     std::to_string(statuses[i].MPI_SOURCE) + " but received " + std::to_string(bytes));
  }
  return nullptr;
}

const char* finish() {
  MPI_Comm_free(&state().ranks);
  const int error = MPI_Finalize();
  return error == MPI_SUCCESS ? nullptr : problem("MPI_Finalize failed");
}

}  // namespace

const nextpatch::Engine* nextpatch_engine() {
  static const nextpatch::Engine engine{
      nextpatch::version(),
      library,
      start,
      exchange,
      finish,
      [] { return state().rank; },
      [] { return state().size; },
      [] { return state().host.c_str(); },
      [] { state().stopped = true; },
  };
  return &engine;
}
