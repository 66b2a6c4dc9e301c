// The state of one JavaScript environment (the main thread or a worker): classes, devices, and the channel on which
// device threads pass results to the event loop.
#pragma once

#include <napi.h>

#include <array>
#include <exception>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "../core/device.h"

namespace nextpatch::binding {

class Environment {
 public:
  explicit Environment(Napi::Env env);

  static Environment& of(Napi::Env env) { return *env.GetInstanceData<Environment>(); }

  Napi::FunctionReference device_class;
  Napi::FunctionReference tensor_class;
  Napi::FunctionReference graph_class;
  // The error constructors passed to setErrorClasses, so that `instanceof` works in JavaScript, by ErrorKind; empty
  // until then.
  std::array<Napi::FunctionReference, 4> error_classes;
  // The global of this name when the addon was loaded: later ones may be anything.
  Napi::FunctionReference array_buffer;
  // The device, opened on first use: all handles on it share its queue and its memory. Throws an Error of kind
  // device if there is none.
  std::shared_ptr<Device> open(const std::string& backend, int index, int threads);

  // A promise, and the function `done`, to be called once on any thread, which settles it on the event loop: with
  // `result(env)`, or with the error. Keeps the process alive until then.
  struct Settlement {
    Napi::Promise promise;
    Device::Done done;
  };
  Settlement promise(std::function<Napi::Value(Napi::Env)> result);

  // Ends the devices' threads, as they must not outlive the process or the environment. Work that has not begun is
  // dropped. `in_order`, and what is returned: as Device::close.
  std::string close(bool in_order = true);

 private:
  struct Message;
  static void deliver(Napi::Env env, Napi::Function, Environment* self, Message* message);
  using Channel = Napi::TypedThreadSafeFunction<Environment, Message, deliver>;

  // Devices live as long as the environment: their own threads must never release the last reference.
  std::vector<std::shared_ptr<Device>> devices_;
  Napi::Env env_;
  Channel channel_;
  int pending_ = 0;
};

}  // namespace nextpatch::binding
