// Prints what native/cpu/memory_limits.h says of a folder that looks like a machine: a line "source, tab, total, tab, free".
#include <cstdio>

#include "../../native/cpu/memory_limits.h"

int main(int, char** arguments) {
  for (const auto& limit : nextpatch::cpu::memory_limits(arguments[1]))
    std::printf("%s\t%lld\t%lld\n", limit.source.c_str(), (long long)limit.total_bytes, (long long)limit.free_bytes);
}
