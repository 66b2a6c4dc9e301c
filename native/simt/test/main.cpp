// Tests of the simt runtime itself. Given a test's name, runs only that; exits 1 if anything failed.
#include <cstring>

#include "check.h"

int main(int count, char** arguments) {
  for (const Test& test : tests()) {
    // Tests that a sanitizer should stop run only when named.
    const bool named = count > 1 && std::strcmp(arguments[1], test.name) == 0;
    const bool stops = std::strncmp(test.name, "sanitizer_", 10) == 0;
    if (!named && (count > 1 || stops)) continue;
    const int before = failures();
    test.run();
    std::printf("%s %s\n", failures() == before ? "ok  " : "FAIL", test.name);
  }
  return failures() == 0 ? 0 : 1;
}
