// The functions of a run of many ranks.
#pragma once

#include <napi.h>

namespace nextpatch::binding {

void export_ranks(Napi::Env env, Napi::Object exports);

// At the process's end, with its exit code: ends the devices. One that ends well leaves the other ranks first; if it
// ended with operations that they wait for, says so and makes the exit code 1.
void end_ranks(const Napi::CallbackInfo& info);

}  // namespace nextpatch::binding
