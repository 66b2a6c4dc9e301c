#include "limits.h"

#include "../kernels.h"

namespace nextpatch::binding {
namespace {

template <int... Values>
Napi::Array array_of(Napi::Env env, std::integer_sequence<int, Values...>) {
  Napi::Array out = Napi::Array::New(env);
  (out.Set(out.Length(), double(Values)), ...);
  return out;
}

}  // namespace

Napi::Object limits(Napi::Env env) {
  Napi::Object out = Napi::Object::New(env);
  out.Set("headDims", array_of(env, HeadDims{}));
  out.Set("maxRank", double(kMaxRank));
  out.Set("maxElements", double(kMaxElements));
  out.Set("maxWholeNumber", double(kMaxWholeNumber));
  out.Set("maxDeviceIndex", double(kMaxDeviceIndex));
  out.Set("maxThreads", double(kMaxThreads));
  out.Set("markSlots", double(kMarks));
  out.Set("adamwHyperSize", double(kAdamWHyperSize));
  out.Set("muonHyperSize", double(kMuonHyperSize));
  return out;
}

}  // namespace nextpatch::binding
