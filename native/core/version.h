// The package's version, by which the addon and a backend tell whether they were built of the same sources.
#pragma once

namespace nextpatch {

const char* version();

}  // namespace nextpatch
