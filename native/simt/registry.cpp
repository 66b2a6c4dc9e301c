// The list of kernels that exist and how often each was launched, for a test that wants each to have run.
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

// Several test processes may share one report: each appends its own lines in one write. Nothing it reads is
// destroyed as the process ends, so it may run in any order with the destructors of other files.
struct ReportAtExit {
  ~ReportAtExit() {
    const char* file = std::getenv("NEXTPATCH_SIMT_REPORT");
    if (!file || !*file) return;
    const int to = open(file, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    const std::string lines = report();
    if (to < 0 || write(to, lines.data(), lines.size()) != ssize_t(lines.size()))
      perror("NEXTPATCH_SIMT_REPORT");
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

#define NEXTPATCH_EXPORT extern "C" __attribute__((visibility("default")))

// One line a kernel: its name, a tab, its launches so far. Valid until the calling thread's next call.
NEXTPATCH_EXPORT const char* nextpatch_simt_kernels() {
  thread_local std::string lines;
  lines = nextpatch::simt::report();
  return lines.c_str();
}

// "forward", "reverse" or "random:SEED", for all later launches; false for anything else.
NEXTPATCH_EXPORT bool nextpatch_simt_set_schedule(const char* text) {
  nextpatch::simt::Schedule schedule;
  if (!nextpatch::simt::parse_schedule(text, &schedule)) return false;
  nextpatch::simt::set_schedule(schedule);
  return true;
}
