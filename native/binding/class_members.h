// Methods and accessors of a wrapped class that check their receiver first: node-addon-api would unwrap any object,
// even one of another class.
#pragma once

#include <napi.h>

#include "../core/error.h"
#include "describe.h"
#include "errors.h"

namespace nextpatch::binding {

// T has a name, T::kClassName, and T::from(value): the T that a JavaScript value wraps, or nullptr.
template <typename T, Napi::Value (T::*member)(const Napi::CallbackInfo&)>
napi_value call_member(napi_env env, napi_callback_info raw) {
  return Napi::details::WrapCallback(env, [&]() -> napi_value {
    const Napi::CallbackInfo info(env, raw);
    return guarded(info.Env(), [&]() -> napi_value {
      T* self = T::from(info.This());
      if (!self) {
        const std::string name = T::kClassName;
        throw Error(ErrorKind::type,
                    name + ": receiver: expected a " + name + " but received " + describe(info.This()));
      }
      return (self->*member)(info);
    });
  });
}

template <typename T, Napi::Value (T::*member)(const Napi::CallbackInfo&)>
Napi::ClassPropertyDescriptor<T> method(const char* name) {
  napi_property_descriptor descriptor{};
  descriptor.utf8name = name;
  descriptor.method = call_member<T, member>;
  descriptor.attributes = napi_default_method;
  return descriptor;
}

template <typename T, Napi::Value (T::*member)(const Napi::CallbackInfo&)>
Napi::ClassPropertyDescriptor<T> accessor(const char* name) {
  napi_property_descriptor descriptor{};
  descriptor.utf8name = name;
  descriptor.getter = call_member<T, member>;
  descriptor.attributes = napi_enumerable;
  return descriptor;
}

}  // namespace nextpatch::binding
