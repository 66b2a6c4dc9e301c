// Turns `void f(Call&)` into a JavaScript function whose errors are JavaScript errors.
#pragma once

#include <napi.h>

#include <algorithm>
#include <initializer_list>

#include "call.h"
#include "errors.h"

namespace nextpatch::binding {

constexpr std::initializer_list<DType> kFloats = {DType::f32, DType::bf16};

inline void export_operation(Napi::Env env, Napi::Object exports, const char* name, void (*body)(Call&)) {
  exports.Set(name, Napi::Function::New(
                        env,
                        [name, body](const Napi::CallbackInfo& info) {
                          guarded(info.Env(), [&] {
                            Call call(info, name);
                            body(call);
                          });
                        },
                        name));
}

// The size of a workspace in elements, from a device and dimensions; at least one, as tensors have.
inline void export_workspace(Napi::Env env, Napi::Object exports, const char* name, int64_t (*body)(Call&)) {
  exports.Set(name, Napi::Function::New(
                        env,
                        [name, body](const Napi::CallbackInfo& info) {
                          return guarded(info.Env(), [&]() -> Napi::Value {
                            Call call(info, name);
                            call.device("device");
                            return Napi::Number::New(info.Env(), double(std::max<int64_t>(1, body(call))));
                          });
                        },
                        name));
}

}  // namespace nextpatch::binding
