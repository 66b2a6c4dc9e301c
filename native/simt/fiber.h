// Fibers: separate stacks that switch to each other, with Boost.Context's assembly.
#pragma once

#include <boost/context/detail/fcontext.hpp>
#include <cstddef>

namespace nextpatch::simt {

// Switches are announced to AddressSanitizer, which otherwise mistakes another stack for an overrun.
class Fiber {
 public:
  // Represents the calling thread, which already has a stack.
  Fiber() = default;
  // A stack of `stack_bytes` with a guard page below it; `entry` runs when first switched to.
  Fiber(size_t stack_bytes, void (*entry)());
  ~Fiber();
  Fiber(const Fiber&) = delete;
  Fiber& operator=(const Fiber&) = delete;

  // Switches from this fiber, which must be running, to `next`; returns when something switches back to this one.
  void switch_to(Fiber& next);

  // Abandons the current execution; the next switch to this fiber starts `entry` again.
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
