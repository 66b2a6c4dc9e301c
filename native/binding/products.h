// Matrix products and their algorithms as JavaScript objects; binding.d.ts describes them.
#pragma once

#include <napi.h>

#include <string>

#include "../core/products.h"

namespace nextpatch::binding {

Napi::Object to_object(Napi::Env env, const SeenProduct& seen);
Napi::Value to_bytes(Napi::Env env, const Algorithm& algorithm);

// Each throws a TypeError or RangeError that names `where`, such as "productAlgorithms: product", and the field.
Product read_product(const Napi::Value& value, const std::string& where);
ProductTable read_product_table(const Napi::Value& value, const std::string& where);

}  // namespace nextpatch::binding
