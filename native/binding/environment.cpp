#include "environment.h"

#include <utility>

#include "../core/backends.h"
#include "errors.h"

namespace nextpatch::binding {

struct Environment::Message {
  Napi::Promise::Deferred deferred;
  std::function<Napi::Value(Napi::Env)> result;
  std::exception_ptr failure;
};

Environment::Environment(Napi::Env env) : env_(env), channel_(Channel::New(env, "nextpatch", 0, 1, this)) {
  channel_.Unref(env);
  // Hooks run in reverse order, so this runs before the clean-up of the channel, which was registered first: the
  // channel must outlive the device threads.
  env.AddCleanupHook([this] { close(); });
}

std::shared_ptr<Device> Environment::open(const std::string& backend, int index, int threads) {
  for (const auto& device : devices_) {
    if (device->backend() == backend && device->index() == index && device->threads() == threads) return device;
  }
  const BackendStatus status = find_backend(backend);
  const std::string what = "no device of the backend " + backend + ": ";
  if (!status.backend) throw Error(ErrorKind::device, what + status.problem);
  std::vector<DeviceInfo> found;
  try {
    found = status.backend->devices();
  } catch (const Error& error) {
    throw Error(ErrorKind::device, what + error.what());
  }
  if (size_t(index) >= found.size()) {
    throw Error(ErrorKind::device, "no device " + backend + ":" + std::to_string(index) + ": this machine has " +
                                       std::to_string(found.size()));
  }
  auto context = status.backend->open(index, threads);
  devices_.push_back(std::make_shared<Device>(backend, index, threads, found[size_t(index)], std::move(context)));
  return devices_.back();
}

std::string Environment::close(bool in_order) {
  std::string problem;
  for (const auto& device : devices_) problem += device->close(in_order);
  return problem;
}

Environment::Settlement Environment::promise(std::function<Napi::Value(Napi::Env)> result) {
  auto* message = new Message{Napi::Promise::Deferred::New(env_), std::move(result), nullptr};
  const Napi::Promise promise = message->deferred.Promise();
  if (pending_++ == 0) channel_.Ref(env_);
  return {promise, [this, message](std::exception_ptr failure) {
            message->failure = failure;
            channel_.NonBlockingCall(message);
          }};
}

void Environment::deliver(Napi::Env env, Napi::Function, Environment* self, Message* message) {
  // Without an environment nothing waits for the result, and no JavaScript value may be touched, not even to
  // release it: the message is leaked to the ending process.
  if (!napi_env(env)) return;
  const std::unique_ptr<Message> owned(message);
  if (--self->pending_ == 0) self->channel_.Unref(env);
  Napi::HandleScope scope(env);
  try {
    try {
      if (owned->failure) std::rethrow_exception(owned->failure);
      owned->deferred.Resolve(owned->result(env));
    } catch (...) {
      owned->deferred.Reject(to_javascript(env, std::current_exception()).Value());
    }
  } catch (const Napi::Error&) {
    // A worker that is being terminated cannot settle its promises.
  }
}

}  // namespace nextpatch::binding
