#pragma once

#include <napi.h>

namespace nextpatch::binding {

// Adds the package's version and the functions on backends to the exports; binding.d.ts says what they do.
void export_backends(Napi::Env env, Napi::Object exports);

}  // namespace nextpatch::binding
