#include "imitated_products.h"

#include <cstdio>
#include <cstdlib>

#include "../core/error.h"
#include "../cuda/product_key.h"

namespace nextpatch::simt {
namespace {

constexpr Way kWays[] = {{32, false, false}, {2, true, false}, {1, false, true}};
constexpr uint64_t kRefused = 3;

// What a library would keep in an algorithm: which one it is, and for which product.
Algorithm algorithm_of(const Product& product, uint64_t index) {
  return {index, uint64_t(product.m), uint64_t(product.n), uint64_t(product.k)};
}

}  // namespace

std::unique_ptr<ImitatedProducts> ImitatedProducts::make() {
  const char* const text = std::getenv("NEXTPATCH_SIMT_ALGORITHMS");
  const std::string wanted = text && *text ? text : "one";
  if (wanted == "one") return nullptr;
  if (wanted == "several") return std::make_unique<ImitatedProducts>();
  std::fprintf(stderr, "NEXTPATCH_SIMT_ALGORITHMS: expected one or several but received %s\n", text);
  std::abort();
}

std::string ImitatedProducts::library() const { return "imitated products 1.0"; }

std::vector<SeenProduct> ImitatedProducts::seen() const {
  std::vector<SeenProduct> found;
  for (const auto& [product, seen] : seen_) found.push_back(seen);
  return found;
}

std::vector<Algorithm> ImitatedProducts::suggested(const Product& product) {
  std::vector<Algorithm> found;
  for (uint64_t index = 0; index <= kRefused; ++index) found.push_back(algorithm_of(product, index));
  return found;
}

void ImitatedProducts::use(const ProductTable& table) {
  for (const auto& [product, algorithm] : table)
    if (algorithm[0] >= kRefused || algorithm != algorithm_of(product, algorithm[0]))
      throw Error(ErrorKind::range,
                  library() + " refuses the algorithm of " + cuda::text_of(product) + ": not supported");
  table_ = table;
  seen_.clear();
}

Way ImitatedProducts::next(const Product& product, bool accumulate) {
  const auto chosen = table_.find(product);
  SeenProduct& seen = seen_[product];
  seen.product = product;
  seen.in_table = chosen != table_.end();
  ++(accumulate ? seen.adds : seen.writes);
  return kWays[seen.in_table ? chosen->second[0] : 0];
}

}  // namespace nextpatch::simt
