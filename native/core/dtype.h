// Element types of tensors.
#pragma once

#include <cstddef>
#include <cstdint>

namespace nextpatch {

enum class DType : uint8_t { f32, bf16, i32 };

constexpr size_t size_of(DType dtype) { return dtype == DType::bf16 ? 2 : 4; }

constexpr const char* name_of(DType dtype) {
  return dtype == DType::f32 ? "f32" : dtype == DType::bf16 ? "bf16" : "i32";
}

}  // namespace nextpatch
