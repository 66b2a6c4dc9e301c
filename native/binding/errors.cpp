#include "errors.h"

#include <new>

#include "environment.h"

namespace nextpatch::binding {
namespace {

Napi::Error make(Napi::Env env, ErrorKind kind, std::vector<napi_value> arguments) {
  const Napi::FunctionReference& constructor = Environment::of(env).error_classes[size_t(kind)];
  if (constructor.IsEmpty())
    return Napi::Error::New(env, Napi::Value(env, arguments[0]).As<Napi::String>().Utf8Value());
  return Napi::Error(env, constructor.New(arguments));
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
    return make(env, error.kind, arguments);
  } catch (const std::bad_alloc&) {
    return make(env, ErrorKind::device, {Napi::String::New(env, "the process ran out of host memory")});
  } catch (const std::exception& error) {
    return make(env, ErrorKind::device, {Napi::String::New(env, error.what())});
  }
}

}  // namespace nextpatch::binding
