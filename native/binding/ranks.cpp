#include "ranks.h"

#include <cstdio>
#include <string>

#include "../core/engines.h"
#include "describe.h"
#include "device.h"
#include "environment.h"
#include "errors.h"
#include "operations.h"

namespace nextpatch::binding {
namespace {

std::string engine_name(const Napi::Value& value, const char* what) {
  std::string names;
  for (const std::string& name : engine_names()) {
    if (value.IsString() && value.As<Napi::String>().Utf8Value() == name) return name;
    names += (names.empty() ? "" : " or ") + name;
  }
  throw Error(value.IsString() ? ErrorKind::range : ErrorKind::type,
              std::string(what) + ": expected " + names + " but received " + describe(value));
}

const std::shared_ptr<Device>& device_of(const Napi::Value& value, const char* what) {
  DeviceHandle* const handle = DeviceHandle::from(value);
  if (!handle) throw Error(ErrorKind::type, std::string(what) + ": expected a Device but received " + describe(value));
  return handle->device();
}

// engine(name): { name, available, problem, library }
Napi::Value engine(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const Napi::Env env = info.Env();
    const std::string name = engine_name(info[0], "engine: name");
    const EngineStatus status = find_engine(name);
    Napi::Object out = Napi::Object::New(env);
    out.Set("name", name);
    out.Set("available", status.engine != nullptr);
    out.Set("problem", status.engine ? env.Null() : Napi::Value(Napi::String::New(env, status.problem)));
    out.Set("library",
            status.engine ? Napi::Value(Napi::String::New(env, status.engine->library())) : Napi::Value(env.Null()));
    return out;
  });
}

Napi::Value join(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const std::shared_ptr<Device> device = device_of(info[0], "joinRanks: device");
    const EngineStatus status = find_engine(engine_name(info[1], "joinRanks: engine"));
    if (!status.engine) throw Error(ErrorKind::device, status.problem);
    const double timeout = info[2].IsNumber() ? info[2].As<Napi::Number>().DoubleValue() : 0;
    if (!(timeout > 0))
      throw Error(ErrorKind::range, "joinRanks: timeout: expected seconds above 0 but received " + describe(info[2]));
    auto settlement = Environment::of(info.Env()).promise([device](Napi::Env env) -> Napi::Value {
      Napi::Object out = Napi::Object::New(env);
      const Collectives* const ranks = device->collectives();
      if (!ranks) throw Error(ErrorKind::device, "Ranks.join: device: expected one that has not left the ranks");
      const RankInfo found = ranks->info();
      out.Set("rank", found.rank);
      out.Set("size", found.size);
      out.Set("host", found.host);
      return out;
    });
    device->join(*status.engine, timeout, settlement.done);
    return settlement.promise;
  });
}

Napi::Value leave(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const std::shared_ptr<Device> device = device_of(info[0], "leaveRanks: device");
    device->require_no_capture("leaveRanks");
    if (!device->collectives())
      throw Error(ErrorKind::device, "Ranks.leave: expected a device that has joined but received " + device->label());
    auto settlement = Environment::of(info.Env()).promise([](Napi::Env env) { return env.Undefined(); });
    device->leave(settlement.done);
    return settlement.promise;
  });
}

Napi::Value sent_bytes(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const Collectives* const ranks = device_of(info[0], "rankBytes: device")->collectives();
    return Napi::Number::New(info.Env(), ranks ? double(ranks->sent_bytes()) : 0);
  });
}

// Of a block for each rank: the whole has `size` times as many elements.
void require_blocks(const Call& call, const Argument& whole, const Argument& block, const RankInfo& ranks) {
  const int64_t n = block.view.size();
  call.require(n <= kMaxElements / ranks.size && whole.view.size() == n * ranks.size, whole,
               std::to_string(ranks.size) + " times the elements of " + block.name + ", a block for each rank");
}

void reduce_scatter(Call& call) {
  const Argument out = call.vector("out"), in = call.vector("input");
  const bool beside = call.boolean("beside");
  for (const Argument& tensor : {out, in}) call.dtype(tensor, {DType::f32});
  const RankInfo ranks = call.collectives().info();
  require_blocks(call, in, out, ranks);
  call.in_part(out, in, out.view.size() * ranks.rank);
  call.collect({out}, [=](Collectives& all) { all.reduce_scatter(out.view, in.view); }, beside);
}

void all_gather(Call& call) {
  const Argument out = call.vector("out"), in = call.vector("input");
  const bool beside = call.boolean("beside");
  call.same_dtype(in, out);
  const RankInfo ranks = call.collectives().info();
  require_blocks(call, out, in, ranks);
  call.in_part(in, out, in.view.size() * ranks.rank);
  call.collect({out}, [=](Collectives& all) { all.all_gather(out.view, in.view); }, beside);
}

void all_reduce(Call& call) {
  const Argument values = call.any_rank("values");
  call.dtype(values, {DType::f32});
  call.collectives();
  call.collect({values}, [=](Collectives& all) { all.all_reduce(values.view); });
}

void await_ranks(Call& call) {
  call.device("device");
  const int64_t left = call.whole_number("left", 0, kMaxCount);
  call.collectives();
  call.await_collectives(size_t(left));
}

}  // namespace

const std::vector<Operation>& rank_operations() {
  static const std::vector<Operation> operations{
      {"reduceScatter", reduce_scatter},
      {"allGather", all_gather},
      {"allReduce", all_reduce},
      {"awaitRanks", await_ranks},
  };
  return operations;
}

void export_ranks(Napi::Env env, Napi::Object exports) {
  exports.Set("engine", Napi::Function::New(env, engine, "engine"));
  exports.Set("joinRanks", Napi::Function::New(env, join, "joinRanks"));
  exports.Set("leaveRanks", Napi::Function::New(env, leave, "leaveRanks"));
  exports.Set("rankBytes", Napi::Function::New(env, sent_bytes, "rankBytes"));
}

void end_ranks(const Napi::CallbackInfo& info) {
  const bool well = info[0].IsNumber() && info[0].As<Napi::Number>().DoubleValue() == 0;
  const std::string problem = Environment::of(info.Env()).close(well);
  if (problem.empty()) return;
  std::fprintf(stderr, "nextpatch: %s\n", problem.c_str());
  if (well) info.Env().Global().Get("process").As<Napi::Object>().Set("exitCode", 1);
}

}  // namespace nextpatch::binding
