// Matrix products by shape, and the algorithms that a library offers for them.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <tuple>
#include <vector>

#include "dtype.h"

namespace nextpatch {

// A matrix product c[m,n] = op(a)[m,k] op(b)[k,n], as far as the choice of its algorithm depends on it.
struct Product {
  int64_t m = 0, n = 0, k = 0;
  bool transpose_a = false, transpose_b = false;
  DType inputs = DType::f32, output = DType::f32;
  // The largest powers of two, up to 256, that divide the addresses.
  uint32_t align_a = 256, align_b = 256, align_c = 256;

  bool operator<(const Product& other) const { return tied() < other.tied(); }

 private:
  std::tuple<int64_t, int64_t, int64_t, bool, bool, DType, DType, uint32_t, uint32_t, uint32_t> tied() const {
    return {m, n, k, transpose_a, transpose_b, inputs, output, align_a, align_b, align_c};
  }
};

// A product that was computed.
struct SeenProduct {
  Product product;
  int64_t writes = 0, adds = 0;  // how often it was enqueued without `accumulate`, and with it
  bool in_table = false;         // by the table's algorithm
};

// What the library keeps in it is its own affair: it means something to the same version of it, on the same GPU.
using Algorithm = std::array<uint64_t, 8>;

using ProductTable = std::map<Product, Algorithm>;

// The products of a device whose library has several algorithms for each. They may add in different orders, so which of
// them is used decides a result's bits. All methods but `library` are called on the device's queue thread.
class Products {
 public:
  virtual ~Products() = default;

  // Its name and version, as "cuBLASLt 13.0.2".
  virtual std::string library() const = 0;
  // The products since the device was opened or `use` was called.
  virtual std::vector<SeenProduct> seen() const = 0;
  // The algorithms that the library suggests for a product, the one that it expects to be the fastest first. A product
  // that is not in the table is computed by that one.
  virtual std::vector<Algorithm> suggested(const Product& product) = 0;
  // Takes these algorithms from now on, in place of an earlier table. Throws an Error of kind range, and changes
  // nothing, if the library refuses one of them.
  virtual void use(const ProductTable& table) = 0;
};

}  // namespace nextpatch
