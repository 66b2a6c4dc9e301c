#include "products.h"

#include <cstring>

#include "../core/error.h"
#include "../core/limits.h"
#include "describe.h"
#include "whole_number.h"

namespace nextpatch::binding {
namespace {

// The alignments that an algorithm may rely on.
constexpr uint32_t kLargestAlignment = 256;

[[noreturn]] void refuse(ErrorKind kind, const std::string& where, const std::string& expected,
                         const Napi::Value& received) {
  throw Error(kind, where + ": expected " + expected + " but received " + describe(received));
}

Napi::Object object(const Napi::Value& value, const std::string& where) {
  if (!value.IsObject() || value.IsFunction()) refuse(ErrorKind::type, where, "an object", value);
  return value.As<Napi::Object>();
}

bool boolean(const Napi::Value& value, const std::string& where) {
  if (!value.IsBoolean()) refuse(ErrorKind::type, where, "a boolean", value);
  return value.As<Napi::Boolean>().Value();
}

DType dtype(const Napi::Value& value, const std::string& where) {
  const std::string name = value.IsString() ? value.As<Napi::String>().Utf8Value() : "";
  for (const DType each : {DType::f32, DType::bf16})
    if (name == name_of(each)) return each;
  refuse(ErrorKind::type, where, "f32 or bf16", value);
}

uint32_t alignment(const Napi::Value& value, const std::string& where) {
  const double number = value.IsNumber() ? value.As<Napi::Number>().DoubleValue() : 0;
  for (uint32_t power = 2; power <= kLargestAlignment; power *= 2)
    if (number == power) return power;
  refuse(value.IsNumber() ? ErrorKind::range : ErrorKind::type, where, "a power of two from 2 to 256", value);
}

Algorithm read_algorithm(const Napi::Value& value, const std::string& where) {
  Algorithm algorithm;
  if (!value.IsTypedArray() || value.As<Napi::TypedArray>().TypedArrayType() != napi_uint8_array)
    refuse(ErrorKind::type, where, "a Uint8Array", value);
  const auto bytes = value.As<Napi::Uint8Array>();
  if (bytes.ByteLength() != sizeof algorithm)
    throw Error(ErrorKind::range, where + ": expected " + std::to_string(sizeof algorithm) + " bytes but received " +
                                      std::to_string(bytes.ByteLength()));
  std::memcpy(algorithm.data(), bytes.Data(), sizeof algorithm);
  return algorithm;
}

}  // namespace

Napi::Object to_object(Napi::Env env, const SeenProduct& seen) {
  const Product& product = seen.product;
  Napi::Object out = Napi::Object::New(env);
  out.Set("m", double(product.m));
  out.Set("n", double(product.n));
  out.Set("k", double(product.k));
  out.Set("transposeA", product.transpose_a);
  out.Set("transposeB", product.transpose_b);
  out.Set("inputs", name_of(product.inputs));
  out.Set("output", name_of(product.output));
  Napi::Array aligned = Napi::Array::New(env, 3);
  uint32_t at = 0;
  for (const uint32_t each : {product.align_a, product.align_b, product.align_c}) aligned.Set(at++, double(each));
  out.Set("alignment", aligned);
  out.Set("writes", double(seen.writes));
  out.Set("adds", double(seen.adds));
  out.Set("inTable", seen.in_table);
  return out;
}

Napi::Value to_bytes(Napi::Env env, const Algorithm& algorithm) {
  auto bytes = Napi::Uint8Array::New(env, sizeof algorithm);
  std::memcpy(bytes.Data(), algorithm.data(), sizeof algorithm);
  return bytes;
}

Product read_product(const Napi::Value& value, const std::string& where) {
  const Napi::Object from = object(value, where);
  Product product;
  product.m = whole_number(from.Get("m"), where + ".m", 1, kMaxElements);
  product.n = whole_number(from.Get("n"), where + ".n", 1, kMaxElements);
  product.k = whole_number(from.Get("k"), where + ".k", 1, kMaxElements);
  product.transpose_a = boolean(from.Get("transposeA"), where + ".transposeA");
  product.transpose_b = boolean(from.Get("transposeB"), where + ".transposeB");
  product.inputs = dtype(from.Get("inputs"), where + ".inputs");
  product.output = dtype(from.Get("output"), where + ".output");
  const Napi::Value aligned = from.Get("alignment");
  if (!aligned.IsArray()) refuse(ErrorKind::type, where + ".alignment", "an array of 3 numbers", aligned);
  uint32_t* const to[] = {&product.align_a, &product.align_b, &product.align_c};
  for (uint32_t i = 0; i < 3; ++i)
    *to[i] = alignment(aligned.As<Napi::Array>().Get(i), where + ".alignment[" + std::to_string(i) + "]");
  return product;
}

ProductTable read_product_table(const Napi::Value& value, const std::string& where) {
  if (!value.IsArray()) refuse(ErrorKind::type, where, "an array", value);
  const auto entries = value.As<Napi::Array>();
  ProductTable table;
  for (uint32_t i = 0; i < entries.Length(); ++i) {
    const std::string at = where + "[" + std::to_string(i) + "]";
    const Napi::Value entry = entries.Get(i);
    const Product product = read_product(entry, at);
    table[product] = read_algorithm(entry.As<Napi::Object>().Get("algorithm"), at + ".algorithm");
  }
  return table;
}

}  // namespace nextpatch::binding
