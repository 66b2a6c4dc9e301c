// The JavaScript class Device: a handle on an opened device.
#pragma once

#include <napi.h>

#include <functional>
#include <memory>

#include "../core/device.h"

namespace nextpatch::binding {

class DeviceHandle : public Napi::ObjectWrap<DeviceHandle> {
 public:
  static constexpr const char* kClassName = "Device";
  static Napi::Function define(Napi::Env env);
  explicit DeviceHandle(const Napi::CallbackInfo& info);

  // The native device that a JavaScript value wraps, or nullptr if it is not a Device.
  static DeviceHandle* from(const Napi::Value& value);

  const std::shared_ptr<Device>& device() const { return device_; }

 private:
  Napi::Value backend(const Napi::CallbackInfo& info);
  Napi::Value index(const Napi::CallbackInfo& info);
  Napi::Value threads(const Napi::CallbackInfo& info);
  Napi::Value name(const Napi::CallbackInfo& info);
  Napi::Value native_bf16(const Napi::CallbackInfo& info);
  Napi::Value compute_capability(const Napi::CallbackInfo& info);
  Napi::Value product_library(const Napi::CallbackInfo& info);
  Napi::Value memory(const Napi::CallbackInfo& info);
  Napi::Value energy(const Napi::CallbackInfo& info);
  Napi::Value trim(const Napi::CallbackInfo& info);
  Napi::Value synchronize(const Napi::CallbackInfo& info);
  Napi::Value mark(const Napi::CallbackInfo& info);
  Napi::Value marks(const Napi::CallbackInfo& info);
  Napi::Value begin_capture(const Napi::CallbackInfo& info);
  Napi::Value end_capture(const Napi::CallbackInfo& info);
  Napi::Value products(const Napi::CallbackInfo& info);
  Napi::Value product_algorithms(const Napi::CallbackInfo& info);
  Napi::Value use_product_table(const Napi::CallbackInfo& info);

  // Runs `part` on the queue thread. Returns a promise of `result`, which is called on the event loop.
  Napi::Value ask_products(Napi::Env env, const char* method, std::function<void(Products&)> part,
                           std::function<Napi::Value(Napi::Env)> result);

  std::shared_ptr<Device> device_;
};

}  // namespace nextpatch::binding
