// What belongs to one JavaScript environment (the main thread or a worker): classes, devices, and the
// channel on which device threads hand results back to the event loop.
#pragma once

#include <napi.h>

#include <exception>
#include <functional>
#include <memory>
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
  // The error constructors given by setErrorClasses: JavaScript's own `instanceof` must hold.
  Napi::ObjectReference error_classes;
  // Devices live as long as the environment: their threads must never be the last to let go of them.
  std::vector<std::shared_ptr<Device>> devices;

  // A promise, and the `done` to be called once on any thread, that settles it on the event loop: with
  // `result(env)`, or with the error. Keeps the process alive meanwhile.
  struct Settlement {
    Napi::Promise promise;
    Device::Done done;
  };
  Settlement promise(std::function<Napi::Value(Napi::Env)> result);

  // Ends the devices' threads, before the process or the environment ends under them: what has not begun is
  // dropped.
  void close();

 private:
  struct Message;
  static void deliver(Napi::Env env, Napi::Function, Environment* self, Message* message);
  using Channel = Napi::TypedThreadSafeFunction<Environment, Message, deliver>;

  Napi::Env env_;
  Channel channel_;
  int pending_ = 0;
};

}  // namespace nextpatch::binding
