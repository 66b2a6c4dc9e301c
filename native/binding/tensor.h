// The JavaScript class Tensor: a handle on a storage with a shape.
#pragma once

#include <napi.h>

#include <memory>
#include <string>

#include "../core/device.h"
#include "../core/view.h"

namespace nextpatch::binding {

// Shared by a tensor and all its views: the storage, until one of them frees it or the last releases it, and its size
// as reported to the garbage collector. JavaScript thread only.
class SharedStorage {
 public:
  SharedStorage(Napi::Env env, std::shared_ptr<Storage> storage);
  ~SharedStorage() { free(); }
  SharedStorage(const SharedStorage&) = delete;
  SharedStorage& operator=(const SharedStorage&) = delete;

  const std::shared_ptr<Storage>& get() const { return storage_; }
  void free();

 private:
  Napi::Env env_;
  std::shared_ptr<Storage> storage_;
};

class Tensor : public Napi::ObjectWrap<Tensor> {
 public:
  static constexpr const char* kClassName = "Tensor";
  static Napi::Function define(Napi::Env env);
  explicit Tensor(const Napi::CallbackInfo& info);

  // The native tensor that a JavaScript value wraps, or nullptr if it is not a Tensor, whatever its prototype.
  static Tensor* from(const Napi::Value& value);

  bool disposed() const { return !shared_ || !shared_->get(); }
  const std::shared_ptr<Storage>& storage() const { return shared_->get(); }  // of a live tensor
  const View& view() const { return view_; }

 private:
  Napi::Value shape(const Napi::CallbackInfo& info);
  Napi::Value dtype(const Napi::CallbackInfo& info);
  Napi::Value size(const Napi::CallbackInfo& info);
  Napi::Value byte_length(const Napi::CallbackInfo& info);
  Napi::Value is_contiguous(const Napi::CallbackInfo& info);
  Napi::Value is_disposed(const Napi::CallbackInfo& info);
  Napi::Value reshape(const Napi::CallbackInfo& info);
  Napi::Value narrow(const Napi::CallbackInfo& info);
  Napi::Value write(const Napi::CallbackInfo& info);
  Napi::Value prefetch(const Napi::CallbackInfo& info);
  Napi::Value read(const Napi::CallbackInfo& info);
  Napi::Value read_bits(const Napi::CallbackInfo& info);
  Napi::Value read_into(const Napi::CallbackInfo& info);
  Napi::Value dispose(const Napi::CallbackInfo& info);
  Napi::Value free(const Napi::CallbackInfo& info);

  // Throw if the tensor was disposed of, or if it is not contiguous.
  void require_alive(const char* method) const;
  void require_contiguous(const char* method) const;
  // Checks the typed array passed to a method, then passes it to `copy`.
  using Copy = void (*)(Storage& owner, void* to, const void* host, size_t bytes);
  Napi::Value fill_from(const Napi::CallbackInfo& info, const char* method, Copy copy);
  // `widened`: as floats.
  Napi::Value read_elements(const Napi::CallbackInfo& info, const char* method, bool widened);
  Napi::Object sibling(Napi::Env env, const View& view);

  std::shared_ptr<SharedStorage> shared_;
  View view_;
};

// overlap(a, b): whether two live tensors share memory.
Napi::Value overlap_of(const Napi::CallbackInfo& info);

// "[2, 3]"
std::string shape_text(const View& view);

}  // namespace nextpatch::binding
