#include "version.h"

// Compiled into the addon and into every backend; CMakeLists.txt has the version from package.json.
const char* nextpatch::version() { return NEXTPATCH_VERSION; }
