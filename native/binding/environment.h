// What belongs to one JavaScript environment (the main thread or a worker): classes, devices, and the
// channel on which device threads hand results back to the event loop.
#pragma once

#include <napi.h>

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
  // The error constructors given by setErrorClasses: JavaScript's own `instanceof` must hold.
  Napi::ObjectReference error_classes;
  // The device, opened the first time it is asked for: handles on the same one share its queue and its memory.
  // Throws an Error of kind device where there is none.
  std::shared_ptr<Device> open(const std::string& backend, int index, int threads);

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

  // Devices live as long as the environment: their threads must never be the last to let go of them.
  std::vector<std::shared_ptr<Device>> devices_;
  Napi::Env env_;
  Channel channel_;
  int pending_ = 0;
};

}  // namespace nextpatch::binding
