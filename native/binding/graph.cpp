#include "graph.h"

#include "environment.h"
#include "errors.h"

namespace nextpatch::binding {

Napi::Function GraphHandle::define(Napi::Env env) {
  return DefineClass(env, "Graph",
                     {InstanceMethod<&GraphHandle::launch>("launch"), InstanceMethod<&GraphHandle::dispose>("dispose")});
}

Napi::Value GraphHandle::create(Napi::Env env, std::shared_ptr<Graph> graph) {
  return Environment::of(env).graph_class.New({Napi::External<std::shared_ptr<Graph>>::New(env, &graph)});
}

GraphHandle::GraphHandle(const Napi::CallbackInfo& info) : ObjectWrap(info) {
  guarded(info.Env(), [&] {
    if (!info[0].IsExternal()) throw Error(ErrorKind::type, "Graph: expected to be made by Device.endCapture");
    graph_ = *info[0].As<Napi::External<std::shared_ptr<Graph>>>().Data();
  });
}

Napi::Value GraphHandle::launch(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    if (!graph_) throw Error(ErrorKind::type, "launch: the graph was disposed of");
    graph_->device()->launch(graph_);
    return info.Env().Undefined();
  });
}

Napi::Value GraphHandle::dispose(const Napi::CallbackInfo& info) {
  graph_.reset();
  return info.Env().Undefined();
}

}  // namespace nextpatch::binding
