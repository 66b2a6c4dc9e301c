// The JavaScript class Graph: recorded operations, made by Device.endCapture.
#pragma once

#include <napi.h>

#include <memory>

#include "../core/device.h"

namespace nextpatch::binding {

class GraphHandle : public Napi::ObjectWrap<GraphHandle> {
 public:
  static constexpr const char* kClassName = "Graph";
  static Napi::Function define(Napi::Env env);
  static Napi::Value create(Napi::Env env, std::shared_ptr<Graph> graph);
  explicit GraphHandle(const Napi::CallbackInfo& info);
  ~GraphHandle() { release(); }

  // The native graph that a JavaScript value wraps, or nullptr if it is not a Graph.
  static GraphHandle* from(const Napi::Value& value);

 private:
  Napi::Value launch(const Napi::CallbackInfo& info);
  Napi::Value dispose(const Napi::CallbackInfo& info);
  void release();

  std::shared_ptr<Graph> graph_;
};

}  // namespace nextpatch::binding
