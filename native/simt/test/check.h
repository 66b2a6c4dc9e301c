// A minimal test harness that names what failed.
#pragma once

#include <cstdio>
#include <string>
#include <vector>

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
