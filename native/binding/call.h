// Reads and checks the arguments of one operation, in order, then enqueues it.
#pragma once

#include <napi.h>

#include <functional>
#include <initializer_list>
#include <memory>
#include <string>
#include <vector>

#include "../core/device.h"
#include "../core/error.h"

namespace nextpatch::binding {

// A tensor argument: its view, and its name for messages. A left-out optional one has no data.
struct Argument {
  const char* name;
  View view;

  int64_t dim(int i) const { return view.dim(i); }
  explicit operator bool() const { return bool(view); }
};

class Call {
 public:
  Call(const Napi::CallbackInfo& info, const char* operation);

  // The next argument. All tensors of a call must be alive and on one device; contiguous unless strided.
  Argument tensor(const char* name, int rank);
  Argument vector(const char* name) { return tensor(name, 1); }
  Argument strided(const char* name, int rank);
  Argument any_rank(const char* name);
  Argument optional(const char* name, int rank);  // null or undefined: left out
  // The device whose kernels() are asked, for calls that take no tensor.
  void device(const char* name);
  double number(const char* name, double low, double high);
  int64_t whole_number(const char* name, int64_t low, int64_t high);
  bool boolean(const char* name);

  // Checks. Each throws a TypeError or RangeError that names the operation, the argument, what was expected
  // and what came.
  void dtype(const Argument& argument, std::initializer_list<DType> allowed) const;
  void same_dtype(const Argument& argument, const Argument& other) const;
  void shape(const Argument& argument, std::initializer_list<int64_t> expected) const;
  void at_least(const Argument& argument, int64_t elements) const;
  void require(bool holds, const Argument& argument, const std::string& expected) const;

  const Kernels& kernels() const { return device_->kernels(); }

  // Enqueues the operation; the storages of all tensors read live until it has been issued.
  void run(std::function<void(Kernels&)> operation);

 private:
  Argument read_tensor(const char* name, int rank, bool strided);
  [[noreturn]] void fail(ErrorKind kind, const char* argument, const std::string& expected,
                         const std::string& got) const;

  const Napi::CallbackInfo& info_;
  const char* operation_;
  size_t position_ = 0;
  std::shared_ptr<Device> device_;
  std::vector<std::shared_ptr<Storage>> storages_;
};

}  // namespace nextpatch::binding
