#include "backends.h"

#include <string>

#include "../core/backends.h"
#include "../core/version.h"
#include "describe.h"
#include "errors.h"

namespace nextpatch::binding {
namespace {

std::string text(const Napi::CallbackInfo& info, size_t index, const char* what) {
  if (info[index].IsString()) return info[index].As<Napi::String>().Utf8Value();
  throw Error(ErrorKind::type, std::string(what) + ": expected a string but received " + describe(info[index]));
}

Napi::Value backends(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  Napi::Array out = Napi::Array::New(env);
  for (const std::string& name : backend_names()) {
    BackendStatus status = find_backend(name);
    Napi::Object entry = Napi::Object::New(env);
    Napi::Object versions = Napi::Object::New(env);
    Napi::Array devices = Napi::Array::New(env);
    if (status.backend) {
      for (const auto& [library, version] : status.backend->versions()) versions.Set(library, version);
      try {
        for (const DeviceInfo& device : status.backend->devices()) {
          Napi::Object item = Napi::Object::New(env);
          item.Set("name", device.name);
          item.Set("totalBytes", double(device.total_bytes));
          item.Set("nativeBf16", device.native_bf16);
          item.Set("code", device.code.empty() ? env.Null() : Napi::Value(Napi::String::New(env, device.code)));
          devices.Set(devices.Length(), item);
        }
      } catch (const std::exception& error) {
        status.problem = error.what();
      }
    }
    entry.Set("name", name);
    entry.Set("available", devices.Length() > 0);
    entry.Set("problem", status.problem.empty() ? env.Null() : Napi::Value(Napi::String::New(env, status.problem)));
    entry.Set("versions", versions);
    entry.Set("devices", devices);
    out.Set(out.Length(), entry);
  }
  return out;
}

void add_folder(const Napi::CallbackInfo& info) {
  add_backend_folder(guarded(info.Env(), [&] { return text(info, 0, "addBackendFolder: folder"); }));
}

void exclude(const Napi::CallbackInfo& info) {
  guarded(info.Env(),
          [&] { exclude_library(text(info, 0, "excludeLibrary: file"), text(info, 1, "excludeLibrary: problem")); });
}

void explain(const Napi::CallbackInfo& info) {
  guarded(info.Env(), [&] {
    explain_missing(backend_name(info, 0, "explainMissing: backend"), text(info, 1, "explainMissing: problem"));
  });
}

Napi::Value libraries(const Napi::CallbackInfo& info) {
  Napi::Array out = Napi::Array::New(info.Env());
  const auto name = guarded(info.Env(), [&] { return backend_name(info, 0, "backendLibraries: backend"); });
  for (const std::string& file : backend_libraries(name)) {
    out.Set(out.Length(), file);
  }
  return out;
}

Napi::Value try_one(const Napi::CallbackInfo& info) {
  const std::string problem = try_library(guarded(info.Env(), [&] { return text(info, 0, "tryLibrary: file"); }));
  return problem.empty() ? info.Env().Null() : Napi::Value(Napi::String::New(info.Env(), problem));
}

}  // namespace

std::string backend_name(const Napi::CallbackInfo& info, size_t index, const char* what) {
  const std::string name = text(info, index, what);
  std::string names;
  for (const std::string& known : backend_names()) {
    if (name == known) return name;
    names += (names.empty() ? "" : ", ") + known;
  }
  throw Error(ErrorKind::range,
              std::string(what) + ": expected one of " + names + " but received " + describe(info[index]));
}

void export_backends(Napi::Env env, Napi::Object exports) {
  exports.Set("version", version());
  exports.Set("backends", Napi::Function::New(env, backends, "backends"));
  exports.Set("addBackendFolder", Napi::Function::New(env, add_folder, "addBackendFolder"));
  exports.Set("excludeLibrary", Napi::Function::New(env, exclude, "excludeLibrary"));
  exports.Set("explainMissing", Napi::Function::New(env, explain, "explainMissing"));
  exports.Set("backendLibraries", Napi::Function::New(env, libraries, "backendLibraries"));
  exports.Set("tryLibrary", Napi::Function::New(env, try_one, "tryLibrary"));
}

}  // namespace nextpatch::binding
