#include "fiber.h"

#include <sys/mman.h>
#include <unistd.h>

#include <new>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif

namespace nextpatch::simt {

namespace context = boost::context::detail;

Fiber::Fiber(size_t stack_bytes, void (*entry)()) : entry_(entry), stack_bytes_(stack_bytes) {
  const size_t guard = size_t(sysconf(_SC_PAGESIZE));
  mapping_bytes_ = guard + stack_bytes;
  mapping_ = mmap(nullptr, mapping_bytes_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (mapping_ == MAP_FAILED) throw std::bad_alloc();
  mprotect(mapping_, guard, PROT_NONE);
  stack_bottom_ = static_cast<char*>(mapping_) + guard;
  reset();
}

Fiber::~Fiber() {
  if (mapping_) munmap(mapping_, mapping_bytes_);
}

void Fiber::reset() {
#if defined(__SANITIZE_ADDRESS__)
  __asan_unpoison_memory_region(stack_bottom_, stack_bytes_);
#endif
  char* top = static_cast<char*>(const_cast<void*>(stack_bottom_)) + stack_bytes_;
  context_ = context::make_fcontext(top, stack_bytes_, &Fiber::start);
}

void Fiber::switch_to(Fiber& next) {
  // Passed to the fiber that resumes: {from, to}.
  Fiber* ends[2] = {this, &next};
  void* fake_stack = nullptr;
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_start_switch_fiber(&fake_stack, next.stack_bottom_, next.stack_bytes_);
#endif
  arrived(context::jump_fcontext(next.context_, ends), fake_stack);
}

void Fiber::arrived(context::transfer_t from, void* fake_stack) {
  Fiber* const left = static_cast<Fiber**>(from.data)[0];
  left->context_ = from.fctx;
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_finish_switch_fiber(fake_stack, &left->stack_bottom_, &left->stack_bytes_);
#else
  (void)fake_stack;
#endif
}

void Fiber::start(context::transfer_t from) {
  Fiber* const self = static_cast<Fiber**>(from.data)[1];
  arrived(from, nullptr);
  self->entry_();
}

}  // namespace nextpatch::simt
