// Shared by the label operations and the loss.
#pragma once

#include <cstdint>

namespace nextpatch::cpu {

// The label that means "no label here", as in PyTorch and Hugging Face.
constexpr int32_t kIgnoredLabel = -100;

}  // namespace nextpatch::cpu
