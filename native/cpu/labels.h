// What the label operations and the loss agree on.
#pragma once

#include <cstdint>

namespace nextpatch::cpu {

// The label that stands for "no label here", as in PyTorch and Hugging Face.
constexpr int32_t kIgnoredLabel = -100;

}  // namespace nextpatch::cpu
