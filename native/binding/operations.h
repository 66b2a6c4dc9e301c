// The operations of kernels.h as JavaScript functions, by family.
#pragma once

#include <napi.h>

namespace nextpatch::binding {

// Each adds its family's functions to `exports`.
void export_basic(Napi::Env env, Napi::Object exports);     // fill, copy, normal, rotary table, matmul, sum
void export_layers(Napi::Env env, Napi::Object exports);    // embedding, norm, rotary, attention, SwiGLU
void export_training(Napi::Env env, Napi::Object exports);  // loss, optimizer, sampling

}  // namespace nextpatch::binding
