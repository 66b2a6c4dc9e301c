// Converts native errors to JavaScript errors.
#pragma once

#include <napi.h>

#include <exception>

#include "../core/error.h"

namespace nextpatch::binding {

// The JavaScript error for a native exception: TypeError, RangeError, OutOfMemoryError (with requestedBytes
// and freeBytes) or DeviceError.
Napi::Error to_javascript(Napi::Env env, std::exception_ptr exception);

// Runs `body`; an exception from it becomes a JavaScript exception.
template <typename Body>
auto guarded(Napi::Env env, Body body) -> decltype(body()) {
  try {
    return body();
  } catch (const Napi::Error&) {
    throw;
  } catch (...) {
    throw to_javascript(env, std::current_exception());
  }
}

}  // namespace nextpatch::binding
