#include "call.h"

#include <algorithm>
#include <cmath>

#include "../core/overlap.h"
#include "describe.h"
#include "device.h"
#include "tensor.h"

namespace nextpatch::binding {
namespace {

std::string plain(double x) {
  if (x == std::floor(x) && std::abs(x) < 1e15) return std::to_string(int64_t(x));
  return std::to_string(x);
}

// The tensor that a dry run reads: one element, for any rank.
Argument one_element(const char* name, int rank) {
  View view;
  view.rank = std::max(rank, 1);
  view.shape.fill(1);
  view.stride.fill(1);
  return {name, view};
}

}  // namespace

Call::Call(const Napi::CallbackInfo& info, const char* operation) : info_(&info), operation_(operation) {}

Call::Call(std::vector<Parameter>& parameters) : parameters_(&parameters) {}

bool Call::noted(const char* name, const char* kind) {
  if (rehearsal()) parameters_->push_back({name, kind});
  return rehearsal();
}

void Call::fail(ErrorKind kind, const char* argument, const std::string& expected, const std::string& received) const {
  throw Error(kind, std::string(operation_) + ": " + argument + ": expected " + expected + " but received " + received);
}

Argument Call::read_tensor(const char* name, int rank, bool strided) {
  const Napi::Value value = next();
  Tensor* tensor = Tensor::from(value);
  if (!tensor) fail(ErrorKind::type, name, "a Tensor", describe(value));
  if (tensor->disposed()) fail(ErrorKind::type, name, "a live tensor", "a disposed one");
  const View& view = tensor->view();
  if (rank && view.rank != rank) {
    fail(ErrorKind::range, name, std::to_string(rank) + (rank == 1 ? " dimension" : " dimensions"), shape_text(view));
  }
  if (!strided && !view.contiguous()) {
    fail(ErrorKind::range, name, "a contiguous tensor", "a strided view of shape " + shape_text(view));
  }
  if (strided && view.cols() > 1 && view.stride[view.rank - 1] != 1) {
    fail(ErrorKind::range, name, "a tensor with a contiguous last dimension", "a view of shape " + shape_text(view));
  }
  const auto& device = tensor->storage()->device();
  if (device_ && device != device_) {
    fail(ErrorKind::type, name, "a tensor on the device of the other arguments, " + device_->info().name,
         "one on " + device->info().name);
  }
  device_ = device;
  storages_.push_back(tensor->storage());
  tensors_.push_back({name, view});
  return tensors_.back();
}

Argument Call::tensor(const char* name, int rank) {
  if (noted(name, "tensor")) return one_element(name, rank);
  return read_tensor(name, rank, false);
}

Argument Call::strided(const char* name, int rank) {
  if (noted(name, "tensor")) return one_element(name, rank);
  return read_tensor(name, rank, true);
}

Argument Call::any_rank(const char* name) { return tensor(name, 0); }

Argument Call::optional(const char* name, int rank) {
  if (noted(name, "optional")) return one_element(name, rank);
  const Napi::Value value = (*info_)[position_];
  if (!value.IsNull() && !value.IsUndefined()) return read_tensor(name, rank, false);
  ++position_;
  return {name, View{}};
}

void Call::device(const char* name) {
  if (noted(name, "device")) return;
  const Napi::Value value = next();
  DeviceHandle* handle = DeviceHandle::from(value);
  if (!handle) fail(ErrorKind::type, name, "a Device", describe(value));
  device_ = handle->device();
}

double Call::number(const char* name, double low, double high) {
  if (noted(name, "number")) return low;
  const Napi::Value value = next();
  if (!value.IsNumber()) fail(ErrorKind::type, name, "a number", describe(value));
  const double number = value.As<Napi::Number>().DoubleValue();
  if (!(number >= low && number <= high)) {
    fail(ErrorKind::range, name, "a number from " + plain(low) + " to " + plain(high), describe(value));
  }
  return number;
}

int64_t Call::whole_number(const char* name, int64_t low, int64_t high) {
  if (noted(name, "whole")) return std::max<int64_t>(low, 1);
  const Napi::Value value = next();
  if (!value.IsNumber()) fail(ErrorKind::type, name, "a whole number", describe(value));
  const double number = value.As<Napi::Number>().DoubleValue();
  if (!(number >= double(low) && number <= double(high)) || number != std::floor(number)) {
    fail(ErrorKind::range, name, "a whole number from " + std::to_string(low) + " to " + std::to_string(high),
         describe(value));
  }
  return int64_t(number);
}

bool Call::boolean(const char* name) {
  if (noted(name, "boolean")) return false;
  const Napi::Value value = next();
  if (!value.IsBoolean()) fail(ErrorKind::type, name, "a boolean", describe(value));
  return value.As<Napi::Boolean>().Value();
}

void Call::dtype(const Argument& argument, std::initializer_list<DType> allowed) const {
  if (rehearsal() || !argument || std::find(allowed.begin(), allowed.end(), argument.view.dtype) != allowed.end())
    return;
  std::string expected;
  for (const DType dtype : allowed) expected += (expected.empty() ? "" : " or ") + std::string(name_of(dtype));
  fail(ErrorKind::type, argument.name, "dtype " + expected, name_of(argument.view.dtype));
}

void Call::same_dtype(const Argument& argument, const Argument& other) const {
  if (rehearsal() || !argument || argument.view.dtype == other.view.dtype) return;
  fail(ErrorKind::type, argument.name, std::string("dtype ") + name_of(other.view.dtype) + ", that of " + other.name,
       name_of(argument.view.dtype));
}

void Call::shape(const Argument& argument, std::initializer_list<int64_t> expected) const {
  if (rehearsal() || !argument) return;
  View wanted;
  for (const int64_t size : expected) wanted.shape[wanted.rank++] = size;
  if (argument.view.rank == wanted.rank && std::equal(expected.begin(), expected.end(), argument.view.shape.begin())) {
    return;
  }
  fail(ErrorKind::range, argument.name, "shape " + shape_text(wanted), shape_text(argument.view));
}

void Call::at_least(const Argument& argument, const std::function<int64_t(const Kernels&)>& elements) const {
  const int64_t least = ask(elements);
  if (argument.view.size() >= least) return;
  fail(ErrorKind::range, argument.name, "at least " + std::to_string(least) + " elements",
       std::to_string(argument.view.size()));
}

void Call::require(bool holds, const Argument& argument, const std::string& expected) const {
  if (!holds && !rehearsal()) fail(ErrorKind::range, argument.name, expected, shape_text(argument.view));
}

void Call::require(bool holds, const char* name, const std::string& expected, int64_t received) const {
  if (!holds && !rehearsal()) fail(ErrorKind::range, name, expected, std::to_string(received));
}

void Call::countable(const Argument& argument) const {
  if (rehearsal() || !argument) return;
  for (int i = 0; i < argument.view.rank; ++i)
    require(argument.dim(i) <= kMaxCount, argument, "dimensions of at most " + std::to_string(kMaxCount));
}

void Call::possible(const char* name, std::initializer_list<int64_t> sizes) const {
  double elements = 1;
  for (const int64_t size : sizes) elements *= double(size);
  if (rehearsal() || elements <= double(kMaxElements)) return;
  fail(ErrorKind::range, name, "a tensor of at most " + std::to_string(kMaxElements) + " elements",
       "sizes with a product of " + plain(elements));
}

int64_t Call::ask(const std::function<int64_t(const Kernels&)>& question) const {
  if (rehearsal()) return 0;
  const int64_t elements = question(device_->kernels());
  if (elements > kMaxElements)
    fail(ErrorKind::range, "workspace", "at most " + std::to_string(kMaxElements) + " elements",
         "sizes that need " + std::to_string(elements));
  return elements;
}

void Call::in_place(const Argument& written, const Argument& read) { in_place_.emplace_back(written.name, read.name); }

void Call::in_part(const Argument& part, const Argument& whole, int64_t begin) {
  parts_.push_back({part.name, whole.name, begin});
}

bool Call::is_part(const Argument& part, const Argument& whole) const {
  return std::any_of(parts_.begin(), parts_.end(), [&](const Part& allowed) {
    return allowed.part == part.name && allowed.whole == whole.name && part.view.dtype == whole.view.dtype &&
           part.view.data == whole.view.as<char>() + allowed.begin * int64_t(size_of(whole.view.dtype));
  });
}

const Collectives& Call::collectives() const {
  if (const Collectives* const ranks = device_->collectives()) return *ranks;
  throw Error(ErrorKind::device, std::string(operation_) +
                                     ": device: expected one that has joined (Ranks.join) but received " +
                                     device_->label() + ", which has not, or has left");
}

void Call::check_apart(const Argument& written) const {
  for (const Argument& other : tensors_) {
    if (other.name == written.name || !overlap(written.view, other.view)) continue;
    if (is_part(written, other) || is_part(other, written)) continue;
    const bool allowed =
        std::find(in_place_.begin(), in_place_.end(), std::pair(written.name, other.name)) != in_place_.end() ||
        std::find(in_place_.begin(), in_place_.end(), std::pair(other.name, written.name)) != in_place_.end();
    if (allowed && identical(written.view, other.view)) continue;
    fail(ErrorKind::range, written.name,
         std::string("memory apart from that of ") + other.name + (allowed ? ", or the same tensor" : ""),
         "a tensor of shape " + shape_text(written.view) + " that overlaps it");
  }
}

void Call::run(std::initializer_list<Argument> written, std::function<void(Kernels&)> operation) {
  if (rehearsal()) {
    for (const Argument& argument : written)
      for (Parameter& parameter : *parameters_) parameter.written |= parameter.name == argument.name;
    return;
  }
  for (const Argument& argument : written)
    if (argument) check_apart(argument);
  device_->run(operation_, std::move(operation), std::move(storages_));
}

void Call::collect(std::initializer_list<Argument> written, std::function<void(Collectives&)> operation, bool beside) {
  for (const Argument& argument : written) check_apart(argument);
  device_->collect(operation_, std::move(operation), std::move(storages_), beside);
}

void Call::await_collectives(size_t left) { device_->await_collectives(operation_, left); }

}  // namespace nextpatch::binding
