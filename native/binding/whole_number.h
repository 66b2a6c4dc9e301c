// Reads a whole number from JavaScript.
#pragma once

#include <napi.h>

#include <cmath>
#include <cstdint>
#include <string>

#include "../core/error.h"
#include "describe.h"

namespace nextpatch::binding {

// `what` names the value in messages: "Device: index". Throws an Error: of kind type for what is no number, of kind
// range for one that is not whole or not in [low, high].
inline int64_t whole_number(const Napi::Value& value, const std::string& what, int64_t low, int64_t high) {
  const double number = value.IsNumber() ? value.As<Napi::Number>().DoubleValue() : std::nan("");
  if (number >= double(low) && number <= double(high) && number == std::floor(number)) return int64_t(number);
  throw Error(value.IsNumber() ? ErrorKind::range : ErrorKind::type,
              what + ": expected a whole number from " + std::to_string(low) + " to " + std::to_string(high) +
                  " but received " + describe(value));
}

}  // namespace nextpatch::binding
