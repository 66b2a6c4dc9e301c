// Reads and checks the arguments of one operation, in order, then enqueues it.
#pragma once

#include <napi.h>

#include <functional>
#include <initializer_list>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "../core/device.h"
#include "../core/error.h"

namespace nextpatch::binding {

// A tensor argument: its view, and its name for messages. An optional one that was left out has no data.
struct Argument {
  const char* name;
  View view;

  int64_t dim(int i) const { return view.dim(i); }
  explicit operator bool() const { return bool(view); }
};

// One parameter of an operation; `kind` is tensor, optional, number, whole, boolean or device.
struct Parameter {
  const char* name;
  const char* kind;
  bool written = false;  // a tensor that the operation writes to
};

class Call {
 public:
  // A call from JavaScript.
  Call(const Napi::CallbackInfo& info, const char* operation);

  // A dry run (rehearsal) that finds an operation's signature from the reads in its code: every read appends its
  // parameter to `parameters` and returns a value that passes any check; nothing is checked and nothing runs.
  explicit Call(std::vector<Parameter>& parameters);

  // The next argument. All tensors of a call must be live and on one device, and contiguous unless strided.
  Argument tensor(const char* name, int rank);
  Argument vector(const char* name) { return tensor(name, 1); }
  Argument strided(const char* name, int rank);
  Argument any_rank(const char* name);
  Argument optional(const char* name, int rank);  // null or undefined: left out
  // The device of a call that takes no tensor.
  void device(const char* name);
  double number(const char* name, double low, double high);
  int64_t whole_number(const char* name, int64_t low, int64_t high);
  bool boolean(const char* name);

  // Checks. Each throws a TypeError or RangeError that names the operation, the argument, what was expected
  // and what was received.
  void dtype(const Argument& argument, std::initializer_list<DType> allowed) const;
  void same_dtype(const Argument& argument, const Argument& other) const;
  void shape(const Argument& argument, std::initializer_list<int64_t> expected) const;
  void require(bool holds, const Argument& argument, const std::string& expected) const;
  // The same for a number.
  void require(bool holds, const char* name, const std::string& expected, int64_t received) const;
  // Every dimension is one that kernels can count in 32 bits.
  void countable(const Argument& argument) const;
  // The product of dimensions that a caller names, the last of them `name`, is the size of a possible tensor.
  void possible(const char* name, std::initializer_list<int64_t> sizes) const;
  // The operation may write its result `written` in the place of `read`.
  void in_place(const Argument& written, const Argument& read);
  // The operation may write to `part` while it reads `whole`, or the other way, if `part` is the elements of `whole`
  // from `begin` on.
  void in_part(const Argument& part, const Argument& whole, int64_t begin);
  // The operations on all ranks, of the device of the tensors; an Error of kind device if it has not joined.
  const Collectives& collectives() const;
  // `elements` computes the least size, that of a workspace, from the device's kernels.
  void at_least(const Argument& argument, const std::function<int64_t(const Kernels&)>& elements) const;

  // The size of a workspace, from the device's kernels; 0 in a rehearsal. Throws if no tensor could have it.
  int64_t ask(const std::function<int64_t(const Kernels&)>& question) const;

  // Enqueues the operation, which writes to `written` and only reads the other tensors; absent ones are passed over.
  // Throws if one that is written overlaps another argument, unless both are the same and that was allowed.
  void run(std::initializer_list<Argument> written, std::function<void(Kernels&)> operation);
  // The same for an operation on all ranks.
  void collect(std::initializer_list<Argument> written, std::function<void(Collectives&)> operation,
               bool beside = false);
  // What is enqueued from here on waits for all of them but the last `left`.
  void await_collectives(size_t left);

 private:
  // In a rehearsal, appends the parameter and returns true.
  bool noted(const char* name, const char* kind);
  bool rehearsal() const { return parameters_ != nullptr; }
  Napi::Value next() { return (*info_)[position_++]; }
  Argument read_tensor(const char* name, int rank, bool strided);
  void check_apart(const Argument& written) const;
  bool is_part(const Argument& part, const Argument& whole) const;
  [[noreturn]] void fail(ErrorKind kind, const char* argument, const std::string& expected,
                         const std::string& received) const;

  const Napi::CallbackInfo* info_ = nullptr;
  const char* operation_ = "";
  std::vector<Parameter>* parameters_ = nullptr;
  size_t position_ = 0;
  std::shared_ptr<Device> device_;
  std::vector<std::shared_ptr<Storage>> storages_;
  std::vector<Argument> tensors_;  // as they were read
  std::vector<std::pair<const char*, const char*>> in_place_;
  struct Part {
    const char* part;
    const char* whole;
    int64_t begin;
  };
  std::vector<Part> parts_;
};

}  // namespace nextpatch::binding
