// The addon's entry: its classes, its operations, and the state of one JavaScript environment.
#include <napi.h>

#include <array>
#include <utility>

#include "backends.h"
#include "describe.h"
#include "device.h"
#include "environment.h"
#include "graph.h"
#include "limits.h"
#include "operations.h"
#include "ranks.h"
#include "tensor.h"

namespace nextpatch::binding {

// setErrorClasses({ TypeError, RangeError, DeviceError, OutOfMemoryError }): the classes of native errors.
static void set_error_classes(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  std::array<Napi::FunctionReference, 4> classes;
  for (const auto& [name, kind] :
       {std::pair("TypeError", ErrorKind::type), std::pair("RangeError", ErrorKind::range),
        std::pair("DeviceError", ErrorKind::device), std::pair("OutOfMemoryError", ErrorKind::out_of_memory)}) {
    const Napi::Value given = info[0].IsObject() ? info[0].As<Napi::Object>().Get(name) : info[0];
    if (!given.IsFunction()) {
      throw Napi::TypeError::New(
          env, std::string("setErrorClasses: ") + name + ": expected a class but received " + describe(given));
    }
    classes[size_t(kind)] = Napi::Persistent(given.As<Napi::Function>());
  }
  Environment::of(env).error_classes = std::move(classes);
}

// A global that the addon needs, or what stands in it: a program may have replaced it.
static Napi::Value global(Napi::Env env, const char* name, const char* member = nullptr) {
  Napi::Value value = env.Global().Get(name);
  if (member != nullptr && value.IsObject()) value = value.As<Napi::Object>().Get(member);
  if (value.IsFunction()) return value;
  throw Napi::TypeError::New(
      env, std::string("nextpatch: ") + name + ": expected the global of this name but received " + describe(value));
}

Napi::Object define_exports(Napi::Env env, Napi::Object exports) {
  auto* environment = new Environment(env);
  env.SetInstanceData(environment);
  const Napi::Function device = DeviceHandle::define(env), tensor = Tensor::define(env);
  const Napi::Function graph = GraphHandle::define(env);
  environment->device_class = Napi::Persistent(device);
  environment->tensor_class = Napi::Persistent(tensor);
  environment->graph_class = Napi::Persistent(graph);
  environment->array_buffer = Napi::Persistent(global(env, "ArrayBuffer").As<Napi::Function>());
  // process.exit runs no clean-up hooks, and the device's threads must not outlive the libraries they run in.
  const auto on_exit = Napi::Function::New(env, [](const Napi::CallbackInfo& info) { end_ranks(info); });
  const auto once = global(env, "process", "once").As<Napi::Function>();
  once.Call(env.Global().Get("process"), {Napi::String::New(env, "exit"), on_exit});
  exports.Set("Device", device);
  exports.Set("Tensor", tensor);
  exports.Set("Graph", graph);
  exports.Set("setErrorClasses", Napi::Function::New(env, set_error_classes, "setErrorClasses"));
  exports.Set("overlap", Napi::Function::New(env, overlap_of, "overlap"));
  exports.Set("limits", limits(env));
  export_backends(env, exports);
  export_operations(env, exports);
  export_ranks(env, exports);
  return exports;
}

}  // namespace nextpatch::binding

static Napi::Object initialize(Napi::Env env, Napi::Object exports) {
  return nextpatch::binding::define_exports(env, exports);
}

NODE_API_MODULE(nextpatch, initialize)
