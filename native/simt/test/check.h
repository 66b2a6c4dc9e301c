// A minimal test harness that names what failed.
#pragma once

#include <cstdio>
#include <functional>
#include <mutex>
#include <string>
#include <vector>

#include "../../core/error.h"

struct Test {
  const char* name;
  void (*run)();
};

inline std::vector<Test>& tests() {
  static std::vector<Test> tests;
  return tests;
}

inline int& failures() {
  static int failures = 0;
  return failures;
}

// Counts a failure. Any thread; not by an atomic number, whose accesses the race detector's build would have to know.
inline void count_failure() {
  static std::mutex mutex;
  const std::lock_guard<std::mutex> lock(mutex);
  ++failures();
}

// For what a sentence names better than its condition. Any thread.
inline void expect(bool holds, const std::string& what) {
  if (holds) return;
  std::printf("%s\n", what.c_str());
  count_failure();
}

// What an Error says; empty if there is none.
inline std::string refusal(const std::function<void()>& call) {
  try {
    call();
  } catch (const nextpatch::Error& error) {
    return error.what();
  }
  return "";
}

#define TEST(name)                                                            \
  static void name();                                                         \
  static const bool name##_listed = (tests().push_back({#name, name}), true); \
  static void name()

#define EXPECT(condition)                                                  \
  do {                                                                     \
    if (!(condition)) {                                                    \
      std::printf("%s:%d: expected %s\n", __FILE__, __LINE__, #condition); \
      count_failure();                                                     \
    }                                                                      \
  } while (false)

#define EXPECT_CONTAINS(text, part)                                                               \
  do {                                                                                            \
    const std::string whole = (text);                                                             \
    if (whole.find(part) == std::string::npos) {                                                  \
      std::printf("%s:%d: expected \"%s\" in \"%s\"\n", __FILE__, __LINE__, part, whole.c_str()); \
      count_failure();                                                                            \
    }                                                                                             \
  } while (false)
