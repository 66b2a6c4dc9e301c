// The list of all kernels, with the number of launches of each, for a test that checks that every kernel has run.
#include <fcntl.h>
#include <unistd.h>

#include <cstdlib>

#include "runner.h"

namespace nextpatch::simt {
namespace {

KernelRecord*& first() {
  static KernelRecord* first = nullptr;
  return first;
}

// "... Kernel = nextpatch::cuda::{anonymous}::fill_kernel<float>]" -> "fill_kernel<float>"
std::string kernel_name(std::string text) {
  const size_t start = text.find("Kernel = ");
  if (start != std::string::npos) text = text.substr(start + 9, text.rfind(']') - start - 9);
  for (const char* noise : {"{anonymous}::", "nextpatch::cuda::", "nextpatch::simt::", "nextpatch::"})
    for (size_t at; (at = text.find(noise)) != std::string::npos;) text.erase(at, std::string(noise).size());
  return text;
}

std::string report() {
  std::string lines;
  for (KernelRecord* kernel = first(); kernel; kernel = kernel->next)
    lines += kernel->name + "\t" + std::to_string(kernel->launches.load()) + "\n";
  return lines;
}

// Several test processes may share one report: each appends its lines in one write. Nothing that it reads is
// destroyed at exit, so it may run in any order relative to the destructors of other files.
struct ReportAtExit {
  ~ReportAtExit() {
    const char* file = std::getenv("NEXTPATCH_SIMT_REPORT");
    if (!file || !*file) return;
    const int to = open(file, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    const std::string lines = report();
    if (to < 0 || write(to, lines.data(), lines.size()) != ssize_t(lines.size())) perror("NEXTPATCH_SIMT_REPORT");
    if (to >= 0) close(to);
  }
} report_at_exit;

}  // namespace

KernelRecord::KernelRecord(const char* pretty_function)
    : name(*new std::string(kernel_name(pretty_function))), next(first()) {
  first() = this;
}

KernelRecord* first_kernel() { return first(); }

}  // namespace nextpatch::simt
