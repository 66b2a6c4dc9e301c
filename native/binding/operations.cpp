#include "operations.h"

#include <algorithm>

#include "errors.h"

namespace nextpatch::binding {
namespace {

std::vector<Operation> all_operations() {
  std::vector<Operation> all;
  for (const auto* family : {&basic_operations(), &layers_operations(), &training_operations()}) {
    all.insert(all.end(), family->begin(), family->end());
  }
  return all;
}

// The size of a workspace depends on the device, and is at least one element, as for any tensor.
int64_t workspace_elements(const Operation& operation, Call& call) {
  call.device("device");
  return std::max<int64_t>(1, operation.workspace(call));
}

Napi::Function function_of(Napi::Env env, const Operation& operation) {
  const auto body = [operation](const Napi::CallbackInfo& info) {
    return guarded(info.Env(), [&]() -> Napi::Value {
      Call call(info, operation.name);
      if (operation.workspace) return Napi::Number::New(info.Env(), double(workspace_elements(operation, call)));
      operation.run(call);
      return info.Env().Undefined();
    });
  };
  return Napi::Function::New(env, body, operation.name);
}

// signatures(): { fill: { parameters: [{ name: "out", kind: "tensor" }, ...], returns: "void" }, ... }
Napi::Value signatures(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  Napi::Object out = Napi::Object::New(env);
  for (const Operation& operation : all_operations()) {
    std::vector<Parameter> parameters;
    Call rehearsal(parameters);
    if (operation.workspace) {
      workspace_elements(operation, rehearsal);
    } else {
      operation.run(rehearsal);
    }
    Napi::Array list = Napi::Array::New(env);
    for (const Parameter& parameter : parameters) {
      Napi::Object entry = Napi::Object::New(env);
      entry.Set("name", parameter.name);
      entry.Set("kind", parameter.kind);
      entry.Set("written", parameter.written);
      list.Set(list.Length(), entry);
    }
    Napi::Object signature = Napi::Object::New(env);
    signature.Set("parameters", list);
    signature.Set("returns", operation.workspace ? "number" : "void");
    out.Set(operation.name, signature);
  }
  return out;
}

}  // namespace

void export_operations(Napi::Env env, Napi::Object exports) {
  for (const Operation& operation : all_operations()) exports.Set(operation.name, function_of(env, operation));
  for (const Operation& operation : rank_operations()) exports.Set(operation.name, function_of(env, operation));
  exports.Set("signatures", Napi::Function::New(env, signatures, "signatures"));
}

}  // namespace nextpatch::binding
