// How ranks that an engine has joined find one another by TCP: rank 0 tells the others by the engine where it listens.
#pragma once

#include <memory>

#include "../engine/engine.h"
#include "rendezvous.h"

namespace nextpatch {

// All ranks call it, on the engine's thread. Rank 0 listens at any free port (NEXTPATCH_PORT: at that one). Throws an
// Error of kind device.
std::unique_ptr<Rendezvous> meet_by(const Engine& engine);

}  // namespace nextpatch
