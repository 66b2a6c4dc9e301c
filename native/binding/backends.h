// The functions on backends: what there is, where to look, what to pass over.
#pragma once

#include <napi.h>

#include <string>

namespace nextpatch::binding {

// The argument at a position, which must be a backend's name; `what` is it in messages: "Device: backend".
std::string backend_name(const Napi::CallbackInfo& info, size_t index, const char* what);

// Adds the package's version and the functions on backends to the exports; binding.d.ts says what they do.
void export_backends(Napi::Env env, Napi::Object exports);

}  // namespace nextpatch::binding
