// The interface that an engine, a shared library between the ranks' network and the core (nextpatch_openmpi.so,
// nextpatch_mpich.so), exports through the single symbol `nextpatch_engine`. Plain C types: an engine throws nothing.
//
// A rank is a process; ranks are numbered from 0. Start, exchange and finish are called on one thread.
#pragma once

#include <cstddef>
#include <cstdint>

namespace nextpatch {

// One transfer between this rank and another.
struct Message {
  int peer;
  bool receive;  // else it is sent
  void* data;    // host memory; only read if it is sent
  size_t bytes;  // more than 0; both sides name the same number
};

// What an engine gives the core. The version (core/version.h) comes first and is compared first: in another, all that
// follows may differ.
struct Engine {
  const char* version;
  // The library's name and version: "Open MPI 4.1.4". Before start too.
  const char* (*library)();

  // The three return nullptr, or what went wrong: text that lives until the next call. Start makes this process a rank,
  // once in its life. Finish waits for the other ranks' finish.
  const char* (*start)();
  // All messages at once; returns when all are done. Messages from one rank to another keep their order. `patient`: the
  // other ranks may take long to come, so that a waiting thread gives up its core.
  const char* (*exchange)(const Message* messages, size_t count, bool patient);
  const char* (*finish)();

  // Since start. Any thread.
  int (*rank)();
  int (*size)();
  const char* (*host)();
  // From here on every exchange fails, one that is running too. Any thread.
  void (*stop)();
};

}  // namespace nextpatch

// Every engine defines this; the object lives as long as the library.
extern "C" __attribute__((visibility("default"))) const nextpatch::Engine* nextpatch_engine();
