#include "graph.h"

#include <utility>

#include "class_members.h"
#include "environment.h"
#include "errors.h"

namespace nextpatch::binding {
namespace {

constexpr napi_type_tag kGraphTag{0x6e65787470617463, 0x6772617068000001};

// What endCapture passes to the constructor; not as an argument, which JavaScript could forge.
thread_local const std::shared_ptr<Graph>* constructing_from = nullptr;

}  // namespace

Napi::Function GraphHandle::define(Napi::Env env) {
  return DefineClass(
      env, "Graph",
      {method<GraphHandle, &GraphHandle::launch>("launch"), method<GraphHandle, &GraphHandle::dispose>("dispose")});
}

Napi::Value GraphHandle::create(Napi::Env env, std::shared_ptr<Graph> graph) {
  constructing_from = &graph;
  try {
    return Environment::of(env).graph_class.New({});
  } catch (...) {
    constructing_from = nullptr;  // as in Tensor::sibling
    throw;
  }
}

GraphHandle::GraphHandle(const Napi::CallbackInfo& info) : ObjectWrap(info) {
  info.This().As<Napi::Object>().TypeTag(&kGraphTag);
  guarded(info.Env(), [&] {
    const auto* origin = std::exchange(constructing_from, nullptr);
    if (!origin)
      throw Error(ErrorKind::type, "Graph: constructor: expected a call of endCapture but received one of its own");
    graph_ = *origin;
  });
}

GraphHandle* GraphHandle::from(const Napi::Value& value) {
  if (!value.IsObject() || !value.As<Napi::Object>().CheckTypeTag(&kGraphTag)) return nullptr;
  return Unwrap(value.As<Napi::Object>());
}

Napi::Value GraphHandle::launch(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    if (!graph_) throw Error(ErrorKind::type, "launch: graph: expected a live graph but received a disposed one");
    graph_->device()->launch(graph_);
    return info.Env().Undefined();
  });
}

Napi::Value GraphHandle::dispose(const Napi::CallbackInfo& info) {
  release();
  return info.Env().Undefined();
}

void GraphHandle::release() {
  if (!graph_) return;
  graph_->release();
  graph_.reset();
}

}  // namespace nextpatch::binding
