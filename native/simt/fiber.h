// Fibers: stacks of their own that hand over to each other, on Boost.Context's assembly.
#pragma once

#include <boost/context/detail/fcontext.hpp>
#include <cstddef>

namespace nextpatch::simt {

// Switches are announced to AddressSanitizer, which else takes another stack for an overrun.
class Fiber {
 public:
  // The thread that calls: it has a stack already.
  Fiber() = default;
  // A stack of `stack_bytes` with a guard page below it; `entry` runs when first switched to.
  Fiber(size_t stack_bytes, void (*entry)());
  ~Fiber();
  Fiber(const Fiber&) = delete;
  Fiber& operator=(const Fiber&) = delete;

  // From this fiber, the one that runs, to `next`; returns when something switches back to this one.
  void switch_to(Fiber& next);

  // Forgets what it was doing; the next switch to it starts `entry` again.
  void reset();

 private:
  static void start(boost::context::detail::transfer_t from);
  static void arrived(boost::context::detail::transfer_t from, void* fake_stack);

  boost::context::detail::fcontext_t context_ = nullptr;
  void (*entry_)() = nullptr;
  void* mapping_ = nullptr;
  size_t mapping_bytes_ = 0;
  const void* stack_bottom_ = nullptr;
  size_t stack_bytes_ = 0;
};

}  // namespace nextpatch::simt
