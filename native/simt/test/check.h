// A minimal test harness that names what failed.
#pragma once

#include <atomic>
#include <cstdio>
#include <functional>
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

inline std::atomic<int>& failures() {
  static std::atomic<int> failures{0};
  return failures;
}

// For what a sentence names better than its condition. Any thread.
inline void expect(bool holds, const std::string& what) {
  if (holds) return;
  std::printf("%s\n", what.c_str());
  ++failures();
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
      ++failures();                                                        \
    }                                                                      \
  } while (false)

#define EXPECT_CONTAINS(text, part)                                                               \
  do {                                                                                            \
    const std::string whole = (text);                                                             \
    if (whole.find(part) == std::string::npos) {                                                  \
      std::printf("%s:%d: expected \"%s\" in \"%s\"\n", __FILE__, __LINE__, part, whole.c_str()); \
      ++failures();                                                                               \
    }                                                                                             \
  } while (false)
