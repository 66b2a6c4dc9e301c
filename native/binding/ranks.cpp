#include "ranks.h"

#include <cmath>
#include <cstdio>
#include <functional>
#include <string>
#include <utility>

#include "../core/engines.h"
#include "describe.h"
#include "device.h"
#include "environment.h"
#include "errors.h"
#include "operations.h"
#include "whole_number.h"

namespace nextpatch::binding {
namespace {

constexpr int kMostRanks = 1 << 16;

std::string engine_name(const Napi::Value& value, const char* what) {
  std::string names;
  for (const std::string& name : engine_names()) {
    if (value.IsString() && value.As<Napi::String>().Utf8Value() == name) return name;
    names += (names.empty() ? "" : " or ") + name;
  }
  throw Error(value.IsString() ? ErrorKind::range : ErrorKind::type,
              std::string(what) + ": expected " + names + " but received " + describe(value));
}

double timeout_of(const Napi::Value& value, const char* what) {
  const double seconds = value.IsNumber() ? value.As<Napi::Number>().DoubleValue() : std::nan("");
  if (seconds > 0) return seconds;
  throw Error(value.IsNumber() ? ErrorKind::range : ErrorKind::type,
              std::string(what) + ": expected seconds above 0 but received " + describe(value));
}

// Refuses NCCL, which has another way to join.
const Engine& engine_of(const Napi::Value& value) {
  const std::string name = engine_name(value, "joinRanks: engine");
  if (name == "nccl") throw Error(ErrorKind::range, "joinRanks: engine: expected openmpi or mpich but received nccl");
  const EngineStatus status = find_engine(name);
  if (!status.engine) throw Error(ErrorKind::device, status.problem);
  return *status.engine;
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
    const bool available = !status.library.empty();
    out.Set("available", available);
    out.Set("problem", available ? env.Null() : Napi::Value(Napi::String::New(env, status.problem)));
    out.Set("library", available ? Napi::Value(Napi::String::New(env, status.library)) : Napi::Value(env.Null()));
    return out;
  });
}

// The promise of a place, for the start of joining.
Napi::Value joined(Napi::Env env, const std::shared_ptr<Device>& device,
                   const std::function<void(Device::Done)>& start) {
  auto settlement = Environment::of(env).promise([device](Napi::Env env) -> Napi::Value {
    Napi::Object out = Napi::Object::New(env);
    const Collectives* const ranks = device->collectives();
    if (!ranks) throw Error(ErrorKind::device, "Ranks.join: device: expected one that has not left the ranks");
    const RankInfo found = ranks->info();
    out.Set("rank", found.rank);
    out.Set("size", found.size);
    out.Set("host", found.host);
    return out;
  });
  start(settlement.done);
  return settlement.promise;
}

Napi::Value join(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const std::shared_ptr<Device> device = device_of(info[0], "joinRanks: device");
    const Engine& engine = engine_of(info[1]);
    const double timeout = timeout_of(info[2], "joinRanks: timeout");
    return joined(info.Env(), device, [&](Device::Done done) { device->join(engine, timeout, std::move(done)); });
  });
}

Napi::Value meet(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const std::shared_ptr<Device> device = device_of(info[0], "meetRanks: device");
    const int size = int(whole_number(info[2], "meetRanks: size", 1, kMostRanks));
    const int rank = int(whole_number(info[1], "meetRanks: rank", 0, size - 1));
    if (!info[3].IsString())
      throw Error(ErrorKind::type, "meetRanks: address: expected a string but received " + describe(info[3]));
    const std::string address = info[3].As<Napi::String>().Utf8Value();
    const int port = int(whole_number(info[4], "meetRanks: port", 0, 65535));
    const double timeout = timeout_of(info[5], "meetRanks: timeout");
    return joined(info.Env(), device,
                  [&](Device::Done done) { device->meet(rank, size, address, port, timeout, std::move(done)); });
  });
}

const std::shared_ptr<Device>& joined_device(const Napi::Value& value, const std::string& what) {
  const std::shared_ptr<Device>& device = device_of(value, (what + ": device").c_str());
  if (device->collectives()) return device;
  throw Error(ErrorKind::device, what + ": expected a device that has joined but received " + device->label());
}

Napi::Value begin_step(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    joined_device(info[0], "beginStep")->begin_step();
    return info.Env().Undefined();
  });
}

Napi::Value leave_loop(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const std::shared_ptr<Device> device = joined_device(info[0], "leaveLoop");
    auto settlement = Environment::of(info.Env()).promise([](Napi::Env env) { return env.Undefined(); });
    device->leave_loop(settlement.done);
    return settlement.promise;
  });
}

Napi::Value leave(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const std::shared_ptr<Device> device = joined_device(info[0], "Ranks.leave");
    device->require_no_capture("Ranks.leave");
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
  exports.Set("meetRanks", Napi::Function::New(env, meet, "meetRanks"));
  exports.Set("beginStep", Napi::Function::New(env, begin_step, "beginStep"));
  exports.Set("leaveLoop", Napi::Function::New(env, leave_loop, "leaveLoop"));
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
