// Describes values for messages.
#pragma once

#include <napi.h>

#include <string>

namespace nextpatch::binding {

// What was received instead of the expected value. Runs no user code: toString of an object is not called.
inline std::string describe(const Napi::Value& value) {
  if (value.IsString()) return "the string \"" + value.As<Napi::String>().Utf8Value() + "\"";
  if (value.IsNumber() || value.IsBoolean() || value.IsNull() || value.IsUndefined()) {
    return value.ToString().Utf8Value();
  }
  if (value.IsFunction()) return "a function";
  if (value.IsSymbol()) return "a symbol";
  if (value.IsBigInt()) return "a bigint";
  return "another object";
}

}  // namespace nextpatch::binding
