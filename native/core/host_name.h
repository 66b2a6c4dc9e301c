// The name of this machine. In the header alone, as libraries that do not have the core's code tell it, too.
#pragma once

#include <unistd.h>

#include <string>

namespace nextpatch {

inline std::string host_name() {
  char name[256] = "";
  gethostname(name, sizeof name - 1);
  return name;
}

}  // namespace nextpatch
