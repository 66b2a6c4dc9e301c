// Describes values for messages.
#pragma once

#include <napi.h>

#include <cstdio>
#include <string>

namespace nextpatch::binding {

// The beginning of a string as JSON, as lib/arguments.ts shows it: a message is one short line.
inline std::string quoted(const Napi::String& value) {
  constexpr size_t kLongest = 80;
  char text[kLongest + 1];
  size_t bytes = 0, copied = 0;
  napi_get_value_string_utf8(value.Env(), value, nullptr, 0, &bytes);
  napi_get_value_string_utf8(value.Env(), value, text, sizeof text, &copied);  // whole characters
  std::string json = "\"";
  for (size_t i = 0; i < copied; ++i) {
    const unsigned char byte = text[i];
    if (byte == '"' || byte == '\\') json += '\\';
    if (byte == '\n') {
      json += "\\n";
    } else if (byte < 0x20) {
      char escape[8];
      std::snprintf(escape, sizeof escape, "\\u%04x", unsigned(byte));
      json += escape;
    } else {
      json += char(byte);
    }
  }
  return json + (copied < bytes ? "…\"" : "\"");
}

// What was received instead of the expected value. Runs no user code: toString of an object is not called.
inline std::string describe(const Napi::Value& value) {
  if (value.IsString()) return "the string " + quoted(value.As<Napi::String>());
  if (value.IsNumber() || value.IsBoolean() || value.IsNull() || value.IsUndefined()) {
    return value.ToString().Utf8Value();
  }
  if (value.IsFunction()) return "a function";
  if (value.IsSymbol()) return "a symbol";
  if (value.IsBigInt()) return "a bigint";
  return "another object";
}

}  // namespace nextpatch::binding
