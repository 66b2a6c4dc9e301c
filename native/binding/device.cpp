#include "device.h"

#include <cmath>

#include "backends.h"
#include "class_members.h"
#include "environment.h"
#include "errors.h"
#include "graph.h"
#include "products.h"
#include "whole_number.h"

namespace nextpatch::binding {
namespace {

constexpr napi_type_tag kDeviceTag{0x6e65787470617463, 0x6465766963650001};

}  // namespace

Napi::Function DeviceHandle::define(Napi::Env env) {
  return DefineClass(
      env, "Device",
      {accessor<DeviceHandle, &DeviceHandle::backend>("backend"), accessor<DeviceHandle, &DeviceHandle::index>("index"),
       accessor<DeviceHandle, &DeviceHandle::threads>("threads"), accessor<DeviceHandle, &DeviceHandle::name>("name"),
       accessor<DeviceHandle, &DeviceHandle::native_bf16>("nativeBf16"),
       accessor<DeviceHandle, &DeviceHandle::compute_capability>("computeCapability"),
       accessor<DeviceHandle, &DeviceHandle::product_library>("productLibrary"),
       method<DeviceHandle, &DeviceHandle::memory>("memory"), method<DeviceHandle, &DeviceHandle::energy>("energy"),
       method<DeviceHandle, &DeviceHandle::trim>("trim"),
       method<DeviceHandle, &DeviceHandle::synchronize>("synchronize"),
       method<DeviceHandle, &DeviceHandle::mark>("mark"), method<DeviceHandle, &DeviceHandle::marks>("marks"),
       method<DeviceHandle, &DeviceHandle::begin_capture>("beginCapture"),
       method<DeviceHandle, &DeviceHandle::end_capture>("endCapture"),
       method<DeviceHandle, &DeviceHandle::products>("products"),
       method<DeviceHandle, &DeviceHandle::product_algorithms>("productAlgorithms"),
       method<DeviceHandle, &DeviceHandle::use_product_table>("useProductTable")});
}

DeviceHandle::DeviceHandle(const Napi::CallbackInfo& info) : ObjectWrap(info) {
  info.This().As<Napi::Object>().TypeTag(&kDeviceTag);
  guarded(info.Env(), [&] {
    const std::string backend = backend_name(info, 0, "Device: backend");
    const int index = int(whole_number(info[1], "Device: index", 0, kMaxDeviceIndex));
    const int threads = int(whole_number(info[2], "Device: threads", 0, kMaxThreads));
    device_ = Environment::of(info.Env()).open(backend, index, threads);
  });
}

DeviceHandle* DeviceHandle::from(const Napi::Value& value) {
  if (!value.IsObject() || !value.As<Napi::Object>().CheckTypeTag(&kDeviceTag)) return nullptr;
  return Unwrap(value.As<Napi::Object>());
}

Napi::Value DeviceHandle::backend(const Napi::CallbackInfo& info) {
  return Napi::String::New(info.Env(), device_->backend());
}
Napi::Value DeviceHandle::index(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), device_->index());
}
Napi::Value DeviceHandle::threads(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), device_->threads());
}
Napi::Value DeviceHandle::name(const Napi::CallbackInfo& info) {
  return Napi::String::New(info.Env(), device_->info().name);
}
Napi::Value DeviceHandle::native_bf16(const Napi::CallbackInfo& info) {
  return Napi::Boolean::New(info.Env(), device_->info().native_bf16);
}

Napi::Value DeviceHandle::compute_capability(const Napi::CallbackInfo& info) {
  const std::string& capability = device_->info().capability;
  return capability.empty() ? info.Env().Null() : Napi::Value(Napi::String::New(info.Env(), capability));
}
Napi::Value DeviceHandle::product_library(const Napi::CallbackInfo& info) {
  const Products* const products = device_->products();
  return products ? Napi::Value(Napi::String::New(info.Env(), products->library())) : info.Env().Null();
}

Napi::Value DeviceHandle::memory(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const AllocatorCounters counters = device_->memory().counters();
    const AllocatorCounters host = device_->host_memory().counters();
    const MemoryStatus status = device_->memory_status();
    Napi::Object out = Napi::Object::New(info.Env());
    out.Set("totalBytes", double(status.total_bytes));
    out.Set("freeBytes", double(status.free_bytes));
    const Napi::Value limited =
        status.limited_by.empty() ? info.Env().Null() : Napi::Value(Napi::String::New(info.Env(), status.limited_by));
    out.Set("limitedBy", limited);
    out.Set("usedBytes", double(counters.used_bytes));
    out.Set("peakUsedBytes", double(counters.peak_used_bytes));
    out.Set("workspaceBytes", double(device_->workspace_bytes()));
    out.Set("reservedBytes", double(counters.reserved_bytes));
    out.Set("stagingBytes", double(host.reserved_bytes));
    out.Set("systemAllocations", double(counters.system_allocations + host.system_allocations));
    return out;
  });
}

Napi::Value DeviceHandle::energy(const Napi::CallbackInfo& info) {
  const double joules = device_->energy();
  return std::isnan(joules) ? info.Env().Null() : Napi::Value(Napi::Number::New(info.Env(), joules));
}

Napi::Value DeviceHandle::trim(const Napi::CallbackInfo& info) {
  device_->trim();
  return info.Env().Undefined();
}

Napi::Value DeviceHandle::synchronize(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    device_->require_no_capture("synchronize");
    auto settlement = Environment::of(info.Env()).promise([](Napi::Env env) { return env.Undefined(); });
    device_->synchronize(settlement.done);
    return settlement.promise;
  });
}

Napi::Value DeviceHandle::mark(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    device_->mark(int(whole_number(info[0], "mark: slot", 0, kMarks - 1)));
    return info.Env().Undefined();
  });
}

Napi::Value DeviceHandle::marks(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const int count = int(whole_number(info[0], "marks: count", 1, kMarks));
    device_->require_no_capture("marks");
    auto settlement = Environment::of(info.Env()).promise([device = device_, count](Napi::Env env) -> Napi::Value {
      auto seconds = Napi::Float64Array::New(env, size_t(count));
      for (int slot = 0; slot < count; ++slot) seconds[size_t(slot)] = device->seconds_between(0, slot);
      return seconds;
    });
    device_->synchronize(settlement.done);
    return settlement.promise;
  });
}

Napi::Value DeviceHandle::begin_capture(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    device_->begin_capture();
    return info.Env().Undefined();
  });
}

Napi::Value DeviceHandle::end_capture(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value { return GraphHandle::create(info.Env(), device_->end_capture()); });
}

Napi::Value DeviceHandle::ask_products(Napi::Env env, const char* method, std::function<void(Products&)> part,
                                       std::function<Napi::Value(Napi::Env)> result) {
  device_->require_no_capture(method);
  Products* const products = device_->products();
  if (!products)
    throw Error(ErrorKind::device,
                std::string(method) + ": " + device_->backend() + " has one algorithm for each matrix product");
  device_->run(method, [products, part = std::move(part)](Kernels&) { part(*products); }, {});
  auto settlement = Environment::of(env).promise(std::move(result));
  device_->synchronize(settlement.done);
  return settlement.promise;
}

Napi::Value DeviceHandle::products(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    auto found = std::make_shared<std::vector<SeenProduct>>();
    return ask_products(
        info.Env(), "products", [found](Products& products) { *found = products.seen(); },
        [found](Napi::Env env) -> Napi::Value {
          Napi::Array out = Napi::Array::New(env);
          for (const SeenProduct& seen : *found) out.Set(out.Length(), to_object(env, seen));
          return out;
        });
  });
}

Napi::Value DeviceHandle::product_algorithms(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const Product product = read_product(info[0], "productAlgorithms: product");
    auto found = std::make_shared<std::vector<Algorithm>>();
    return ask_products(
        info.Env(), "productAlgorithms", [found, product](Products& products) { *found = products.suggested(product); },
        [found](Napi::Env env) -> Napi::Value {
          Napi::Array out = Napi::Array::New(env);
          for (const Algorithm& algorithm : *found) out.Set(out.Length(), to_bytes(env, algorithm));
          return out;
        });
  });
}

Napi::Value DeviceHandle::use_product_table(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    return ask_products(
        info.Env(), "useProductTable",
        [table = read_product_table(info[0], "useProductTable: table")](Products& products) { products.use(table); },
        [](Napi::Env env) { return env.Undefined(); });
  });
}

}  // namespace nextpatch::binding
