// core/limits.h as text for messages, and as the JavaScript object `limits`.
#pragma once

#include <napi.h>

#include <string>

#include "../core/limits.h"

namespace nextpatch::binding {

Napi::Object limits(Napi::Env env);

// "32, 48 or 64"
template <int... Values>
std::string list_of(std::integer_sequence<int, Values...>) {
  std::string text;
  size_t left = sizeof...(Values);
  const auto append = [&](int value) {
    text += std::to_string(value);
    --left;
    if (left > 0) text += left == 1 ? " or " : ", ";
  };
  (append(Values), ...);
  return text;
}

}  // namespace nextpatch::binding
