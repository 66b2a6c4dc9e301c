// The JavaScript class Tensor: a handle on a storage with a shape.
#pragma once

#include <napi.h>

#include <memory>
#include <string>

#include "../core/device.h"
#include "../core/view.h"

namespace nextpatch::binding {

class Tensor : public Napi::ObjectWrap<Tensor> {
 public:
  static constexpr const char* kClassName = "Tensor";
  static Napi::Function define(Napi::Env env);
  explicit Tensor(const Napi::CallbackInfo& info);
  ~Tensor();

  // The native tensor behind a JavaScript value, or nullptr where it is none, whatever its prototype.
  static Tensor* from(const Napi::Value& value);

  bool disposed() const { return !storage_; }
  const std::shared_ptr<Storage>& storage() const { return storage_; }
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
  Napi::Value read(const Napi::CallbackInfo& info);
  Napi::Value dispose(const Napi::CallbackInfo& info);

  // Throw where the tensor was disposed of; where its elements do not lie one after another.
  void require_alive(const char* method) const;
  void require_contiguous(const char* method) const;
  Napi::Object sibling(Napi::Env env, const View& view);

  std::shared_ptr<Storage> storage_;
  View view_;
  int64_t external_bytes_ = 0;  // told to the garbage collector; 0 for a view
};

// "[2, 3]"
std::string shape_text(const View& view);

}  // namespace nextpatch::binding
