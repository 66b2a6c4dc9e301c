// A library with several algorithms for each matrix product, imitated: NEXTPATCH_SIMT_ALGORITHMS=several. For tests of
// what chooses between algorithms, and of what keeps the choice.
#pragma once

#include <map>
#include <memory>

#include "../core/products.h"

namespace nextpatch::simt {

// How a product is computed.
struct Way {
  int times = 1;          // how often the sums are computed: what makes one algorithm slower than another
  bool shuffled = false;  // summed in another order
  bool unsteady = false;  // in another order every other time
};

class ImitatedProducts final : public Products {
 public:
  // nullptr without the variable.
  static std::unique_ptr<ImitatedProducts> make();

  std::string library() const override;
  std::vector<SeenProduct> seen() const override;
  // Four, whose times are as 8 to 2 to 1 to 1: the first is the slowest, the third changes its sums from one call to
  // the next, and the fourth is refused.
  std::vector<Algorithm> suggested(const Product& product) override;
  void use(const ProductTable& table) override;

  // How a product is computed that is now enqueued.
  Way next(const Product& product, bool accumulate);

 private:
  ProductTable table_;
  std::map<Product, SeenProduct> seen_;
};

}  // namespace nextpatch::simt
