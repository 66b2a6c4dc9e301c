#include "errors.h"

#include <new>

#include "environment.h"

namespace nextpatch::binding {
namespace {

Napi::Error make(Napi::Env env, const char* class_name, std::vector<napi_value> arguments) {
  Environment& environment = Environment::of(env);
  if (environment.error_classes.IsEmpty()) {
    return Napi::Error::New(env, Napi::Value(env, arguments[0]).As<Napi::String>().Utf8Value());
  }
  const auto constructor = environment.error_classes.Get(class_name).As<Napi::Function>();
  return Napi::Error(env, constructor.New(arguments));
}

const char* class_of(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::type:
      return "TypeError";
    case ErrorKind::range:
      return "RangeError";
    case ErrorKind::out_of_memory:
      return "OutOfMemoryError";
    case ErrorKind::device:
      break;
  }
  return "DeviceError";
}

}  // namespace

Napi::Error to_javascript(Napi::Env env, std::exception_ptr exception) {
  try {
    std::rethrow_exception(exception);
  } catch (const Napi::Error& error) {
    return error;
  } catch (const Error& error) {
    std::vector<napi_value> arguments{Napi::String::New(env, error.what())};
    if (error.kind == ErrorKind::out_of_memory) {
      arguments.push_back(Napi::Number::New(env, double(error.requested_bytes)));
      arguments.push_back(Napi::Number::New(env, double(error.free_bytes)));
    }
    return make(env, class_of(error.kind), arguments);
  } catch (const std::bad_alloc&) {
    return make(env, "DeviceError", {Napi::String::New(env, "the process ran out of host memory")});
  } catch (const std::exception& error) {
    return make(env, "DeviceError", {Napi::String::New(env, error.what())});
  }
}

}  // namespace nextpatch::binding
