#include "tensor.h"

#include <cstring>
#include <utility>

#include "../core/overlap.h"
#include "class_members.h"
#include "describe.h"
#include "device.h"
#include "environment.h"
#include "errors.h"
#include "whole_number.h"

namespace nextpatch::binding {
namespace {

constexpr napi_type_tag kTensorTag{0x6e65787470617463, 0x74656e736f720001};

// What one Tensor passes to the constructor of another that shares its storage. Not as an argument, which JavaScript
// could forge.
struct Origin {
  std::shared_ptr<SharedStorage> shared;
  View view;
};
thread_local const Origin* constructing_from = nullptr;

DType parse_dtype(const Napi::Value& value) {
  const std::string name = value.IsString() ? value.As<Napi::String>().Utf8Value() : "";
  for (const DType dtype : {DType::f32, DType::bf16, DType::i32})
    if (name == name_of(dtype)) return dtype;
  throw Error(ErrorKind::type, "Tensor: dtype: expected f32, bf16 or i32 but received " + describe(value));
}

void set_strides(View* view) {
  int64_t stride = 1;
  for (int i = view->rank - 1; i >= 0; --i) {
    view->stride[i] = stride;
    stride *= view->shape[i];
  }
}

// Turns `count` bf16 numbers at the end of a buffer into as many floats from its beginning on. A float never reaches a
// number that has not been read.
void widen(char* buffer, size_t count) {
  const char* const bits = buffer + count * sizeof(uint16_t);
  for (size_t i = 0; i < count; ++i) {
    uint16_t upper;
    std::memcpy(&upper, bits + i * sizeof upper, sizeof upper);
    const uint32_t word = uint32_t(upper) << 16;
    std::memcpy(buffer + i * sizeof word, &word, sizeof word);
  }
}

void parse_shape(const Napi::Value& value, const char* method, View* view) {
  const std::string where = std::string(method) + ": shape: ";
  if (!value.IsArray())
    throw Error(ErrorKind::type, where + "expected an array of whole numbers but received " + describe(value));
  const auto array = value.As<Napi::Array>();
  const uint32_t rank = array.Length();  // read once: an element may be a getter that makes the array longer
  if (rank == 0 || rank > kMaxRank) {
    throw Error(ErrorKind::range, where + "expected 1 to " + std::to_string(kMaxRank) + " dimensions but received " +
                                      std::to_string(rank));
  }
  double elements = 1;
  view->rank = int(rank);
  view->shape = view->stride = {};  // in reshape, from a view of possibly more dimensions
  for (uint32_t i = 0; i < rank; ++i) {
    const Napi::Value item = array[i];
    if (!item.IsNumber()) {
      throw Error(ErrorKind::type, where + "expected an array of whole numbers but received " + describe(item) +
                                       " for dimension " + std::to_string(i));
    }
    const double size = item.As<Napi::Number>().DoubleValue();
    elements *= size;
    if (!(size >= 1) || size > double(kMaxElements) || elements > double(kMaxElements) ||
        size != double(int64_t(size))) {
      throw Error(ErrorKind::range, where + "expected positive whole numbers with a product of at most " +
                                        std::to_string(kMaxElements) + " but received " + describe(item) +
                                        " for dimension " + std::to_string(i));
    }
    view->shape[i] = int64_t(size);
  }
  set_strides(view);
}

// The elements of a typed array. Its memory is there as long as no JavaScript runs.
struct Elements {
  void* data = nullptr;
  size_t count = 0;
  napi_value buffer = nullptr;
};

// Throws for an array whose buffer has been transferred away, which has no elements and no memory.
Elements elements_of(const Napi::Value& array, const std::string& where) {
  Elements of;
  napi_get_typedarray_info(array.Env(), array, nullptr, &of.count, &of.data, &of.buffer, nullptr);
  bool detached = false;
  napi_is_detached_arraybuffer(array.Env(), of.buffer, &detached);
  if (detached) throw Error(ErrorKind::type, where + " but received one whose buffer was transferred");
  return of;
}

struct ArrayKind {
  napi_typedarray_type type;
  const char* name;
};
ArrayKind array_kind(DType dtype) {
  switch (dtype) {
    case DType::bf16:
      return {napi_uint16_array, "Uint16Array"};
    case DType::i32:
      return {napi_int32_array, "Int32Array"};
    case DType::f32:
      break;
  }
  return {napi_float32_array, "Float32Array"};
}

}  // namespace

SharedStorage::SharedStorage(Napi::Env env, std::shared_ptr<Storage> storage)
    : env_(env), storage_(std::move(storage)) {
  Napi::MemoryManagement::AdjustExternalMemory(env_, int64_t(storage_->bytes()));
}

void SharedStorage::free() {
  if (!storage_) return;
  Napi::MemoryManagement::AdjustExternalMemory(env_, -int64_t(storage_->bytes()));
  storage_.reset();
}

std::string shape_text(const View& view) {
  std::string text = "[";
  for (int i = 0; i < view.rank; ++i) text += (i ? ", " : "") + std::to_string(view.shape[i]);
  return text + "]";
}

Napi::Function Tensor::define(Napi::Env env) {
  return DefineClass(env, "Tensor",
                     {accessor<Tensor, &Tensor::shape>("shape"), accessor<Tensor, &Tensor::dtype>("dtype"),
                      accessor<Tensor, &Tensor::size>("size"), accessor<Tensor, &Tensor::byte_length>("byteLength"),
                      accessor<Tensor, &Tensor::is_contiguous>("contiguous"),
                      accessor<Tensor, &Tensor::is_disposed>("disposed"), method<Tensor, &Tensor::reshape>("reshape"),
                      method<Tensor, &Tensor::narrow>("narrow"), method<Tensor, &Tensor::write>("write"),
                      method<Tensor, &Tensor::prefetch>("prefetch"), method<Tensor, &Tensor::read>("read"),
                      method<Tensor, &Tensor::read_bits>("readBits"), method<Tensor, &Tensor::read_into>("readInto"),
                      method<Tensor, &Tensor::dispose>("dispose"), method<Tensor, &Tensor::free>("free")});
}

// new Tensor(device, dtype, shape); from native code, (device) with `constructing_from` set.
Tensor::Tensor(const Napi::CallbackInfo& info) : ObjectWrap(info) {
  const auto self = info.This().As<Napi::Object>();
  self.TypeTag(&kTensorTag);
  guarded(info.Env(), [&] {
    if (const Origin* origin = std::exchange(constructing_from, nullptr)) {
      shared_ = origin->shared;
      view_ = origin->view;
    } else {
      DeviceHandle* device = DeviceHandle::from(info[0]);
      if (!device) throw Error(ErrorKind::type, "Tensor: device: expected a Device but received " + describe(info[0]));
      view_.dtype = parse_dtype(info[1]);
      parse_shape(info[2], "Tensor", &view_);
      const int64_t bytes = view_.size() * int64_t(size_of(view_.dtype));
      auto storage = std::make_shared<Storage>(device->device(), size_t(bytes));
      view_.data = storage->data();
      shared_ = std::make_shared<SharedStorage>(info.Env(), std::move(storage));
    }
    self.DefineProperty(Napi::PropertyDescriptor::Value("device", info[0], napi_enumerable));
  });
}

Tensor* Tensor::from(const Napi::Value& value) {
  if (!value.IsObject() || !value.As<Napi::Object>().CheckTypeTag(&kTensorTag)) return nullptr;
  return Unwrap(value.As<Napi::Object>());
}

void Tensor::require_alive(const char* method) const {
  if (!disposed()) return;
  throw Error(ErrorKind::type, std::string(method) + ": tensor: expected a live tensor but received a disposed one");
}

void Tensor::require_contiguous(const char* method) const {
  if (view_.contiguous()) return;
  throw Error(ErrorKind::range, std::string(method) +
                                    ": tensor: expected a contiguous tensor but received a strided view " +
                                    "of shape " + shape_text(view_));
}

Napi::Object Tensor::sibling(Napi::Env env, const View& view) {
  const Origin origin{shared_, view};
  const Napi::Value device = Value().Get("device");
  constructing_from = &origin;
  try {
    return Environment::of(env).tensor_class.New({device});
  } catch (...) {
    // The constructor may not have run, as where the stack is full: the next one must not find what is gone by then.
    constructing_from = nullptr;
    throw;
  }
}

Napi::Value Tensor::shape(const Napi::CallbackInfo& info) {
  Napi::Array out = Napi::Array::New(info.Env(), size_t(view_.rank));
  for (int i = 0; i < view_.rank; ++i) out[uint32_t(i)] = Napi::Number::New(info.Env(), double(view_.shape[i]));
  return out;
}
Napi::Value Tensor::dtype(const Napi::CallbackInfo& info) {
  return Napi::String::New(info.Env(), name_of(view_.dtype));
}
Napi::Value Tensor::size(const Napi::CallbackInfo& info) { return Napi::Number::New(info.Env(), double(view_.size())); }
Napi::Value Tensor::byte_length(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), double(view_.size()) * double(size_of(view_.dtype)));
}
Napi::Value Tensor::is_contiguous(const Napi::CallbackInfo& info) {
  return Napi::Boolean::New(info.Env(), view_.contiguous());
}
Napi::Value Tensor::is_disposed(const Napi::CallbackInfo& info) { return Napi::Boolean::New(info.Env(), disposed()); }

Napi::Value Tensor::reshape(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    require_alive("reshape");
    View view = view_;
    parse_shape(info[0], "reshape", &view);
    require_alive("reshape");  // again: an element of the shape may be a getter that disposes of the tensor
    if (view.size() != view_.size()) {
      throw Error(ErrorKind::range, "reshape: shape: expected " + std::to_string(view_.size()) + " elements, as in " +
                                        shape_text(view_) + ", but received " + shape_text(view));
    }
    require_contiguous("reshape");
    return sibling(info.Env(), view);
  });
}

Napi::Value Tensor::narrow(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    require_alive("narrow");
    const int dimension = int(whole_number(info[0], "narrow: dimension", 0, view_.rank - 1));
    const int64_t extent = view_.shape[dimension];
    const int64_t start = whole_number(info[1], "narrow: start", 0, extent - 1);
    const int64_t length = whole_number(info[2], "narrow: length", 1, extent - start);
    View view = view_;
    view.shape[dimension] = length;
    view.data = view_.as<char>() + start * view_.stride[dimension] * int64_t(size_of(view_.dtype));
    return sibling(info.Env(), view);
  });
}

Napi::Value Tensor::write(const Napi::CallbackInfo& info) {
  return fill_from(info, "write", [](Storage& owner, void* to, const void* host, size_t bytes) {
    owner.device()->write(to, host, bytes);
  });
}
Napi::Value Tensor::prefetch(const Napi::CallbackInfo& info) {
  return fill_from(info, "prefetch", [](Storage& owner, void* to, const void* host, size_t bytes) {
    owner.device()->prefetch(owner, to, host, bytes);
  });
}

Napi::Value Tensor::fill_from(const Napi::CallbackInfo& info, const char* method, Copy copy) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    require_alive(method);
    const std::string where = std::string(method) + ": ";
    const ArrayKind kind = array_kind(view_.dtype);
    if (!info[0].IsTypedArray() || info[0].As<Napi::TypedArray>().TypedArrayType() != kind.type) {
      throw Error(ErrorKind::type, where + "data: expected a " + kind.name + " for dtype " + name_of(view_.dtype) +
                                       " but received " + describe(info[0]));
    }
    const auto [data, length, buffer] = elements_of(info[0], where + "data: expected a " + kind.name);
    if (int64_t(length) != view_.size()) {
      throw Error(ErrorKind::range, where + "data: expected " + std::to_string(view_.size()) + " elements for shape " +
                                        shape_text(view_) + " but received " + std::to_string(length));
    }
    require_contiguous(method);
    copy(*storage(), view_.data, data, length * size_of(view_.dtype));
    return info.Env().Undefined();
  });
}

Napi::Value Tensor::read(const Napi::CallbackInfo& info) {
  return read_elements(info, "read", view_.dtype == DType::bf16);
}
Napi::Value Tensor::read_bits(const Napi::CallbackInfo& info) { return read_elements(info, "readBits", false); }

Napi::Value Tensor::read_elements(const Napi::CallbackInfo& info, const char* method, bool widened) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    require_alive(method);
    require_contiguous(method);
    const std::shared_ptr<Storage> owner = storage();  // ArrayBuffer may be user code that disposes of the tensor
    owner->device()->require_no_capture(method);
    const size_t count = size_t(view_.size());
    const size_t own_bytes = count * size_of(view_.dtype);
    const size_t bytes = widened ? count * sizeof(float) : own_bytes;
    // Uses the JavaScript constructor, which throws if there is no memory; the native one ends the process.
    const Napi::Object made =
        Environment::of(info.Env()).array_buffer.New({Napi::Number::New(info.Env(), double(bytes))});
    if (!made.IsArrayBuffer() || made.As<Napi::ArrayBuffer>().ByteLength() != bytes)
      throw Error(ErrorKind::type, std::string(method) +
                                       ": ArrayBuffer: expected the global of this name to make a buffer of " +
                                       std::to_string(bytes) + " bytes but received " + describe(made));
    auto buffer = made.As<Napi::ArrayBuffer>();
    // Keeps the memory alive while a device thread fills it.
    auto held = std::make_shared<Napi::Reference<Napi::ArrayBuffer>>(Napi::Persistent(buffer));
    const DType dtype = widened ? DType::f32 : view_.dtype;
    auto settlement = Environment::of(info.Env()).promise([held, count, dtype](Napi::Env env) -> Napi::Value {
      switch (dtype) {
        case DType::bf16:
          return Napi::Uint16Array::New(env, count, held->Value(), 0);
        case DType::i32:
          return Napi::Int32Array::New(env, count, held->Value(), 0);
        case DType::f32:
          break;
      }
      return Napi::Float32Array::New(env, count, held->Value(), 0);
    });
    char* const data = static_cast<char*>(buffer.Data());
    Device::Done done = std::move(settlement.done);
    if (widened) {
      done = [data, count, settle = std::move(done)](std::exception_ptr failure) {
        if (!failure) widen(data, count);
        settle(failure);
      };
    }
    owner->device()->read(view_.data, data + (bytes - own_bytes), own_bytes, std::move(done));
    return settlement.promise;
  });
}

Napi::Value Tensor::read_into(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    require_alive("readInto");
    require_contiguous("readInto");
    const ArrayKind kind = array_kind(view_.dtype);
    const std::string where = std::string("readInto: target: expected a ") + kind.name;
    if (!info[0].IsTypedArray() || info[0].As<Napi::TypedArray>().TypedArrayType() != kind.type)
      throw Error(ErrorKind::type, where + " for dtype " + name_of(view_.dtype) + " but received " + describe(info[0]));
    const auto [data, length, buffer] = elements_of(info[0], where);
    // Only shared memory is sure to stay where it is while a device thread fills it: any other can be transferred.
    bool transferable = true;
    napi_is_arraybuffer(info.Env(), buffer, &transferable);
    if (transferable)
      throw Error(ErrorKind::type, where + " on a SharedArrayBuffer but received one on an ArrayBuffer");
    if (int64_t(length) != view_.size()) {
      throw Error(ErrorKind::range, where + " of " + std::to_string(view_.size()) + " elements, as in shape " +
                                        shape_text(view_) + ", but received " + std::to_string(length));
    }
    const std::shared_ptr<Storage> owner = storage();
    owner->device()->require_no_capture("readInto");
    // Keeps the memory alive meanwhile.
    auto held = std::make_shared<Napi::ObjectReference>(Napi::Persistent(info[0].As<Napi::Object>()));
    auto settlement = Environment::of(info.Env()).promise([held](Napi::Env env) { return env.Undefined(); });
    owner->device()->read(view_.data, data, length * size_of(view_.dtype), settlement.done);
    return settlement.promise;
  });
}

Napi::Value Tensor::dispose(const Napi::CallbackInfo& info) {
  shared_.reset();
  return info.Env().Undefined();
}

Napi::Value Tensor::free(const Napi::CallbackInfo& info) {
  if (shared_) shared_->free();
  return info.Env().Undefined();
}

Napi::Value overlap_of(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const View* views[2];
    for (size_t i = 0; i < 2; ++i) {
      const Tensor* const tensor = Tensor::from(info[i]);
      if (!tensor || tensor->disposed())
        throw Error(ErrorKind::type, std::string("overlap: ") + (i == 0 ? "a" : "b") +
                                         ": expected a live tensor but received " +
                                         (tensor ? "a disposed one" : describe(info[i])));
      views[i] = &tensor->view();
    }
    return Napi::Boolean::New(info.Env(), overlap(*views[0], *views[1]));
  });
}

}  // namespace nextpatch::binding
