// Products by algorithms from a table: gemm_cublaslt.cpp on the fake cuBLASLt, whose algorithms add in different
// orders.
#include "products_test.h"

#include <string>
#include <vector>

#include "../../../cuda/gemm.h"
#include "../../../cuda/product_key.h"
#include "../check.h"
#include "matrix.h"

using namespace nextpatch;

namespace {

// Operands whose sums depend on the order of their terms.
struct Operands {
  Matrix a, b, c;
  bool transpose_a;

  Operands(int64_t m, int64_t n, int64_t k, bool transpose_a, int64_t offset = 0)
      : a(DType::f32, transpose_a ? k : m, transpose_a ? m : k, offset, 1),
        b(DType::f32, k, n, 0, 2),
        c(DType::f32, m, n, 0, 3),
        transpose_a(transpose_a) {
    for (Matrix* matrix : {&a, &b})
      for (int64_t i = 0; i < matrix->view.size(); ++i) matrix->set(i, 1.f / float(3 + i * 7 % 97) - 0.1f);
  }

  Product product() const { return cuda::product_of(c.view, a.view, b.view, transpose_a, false); }

  // The result's bits.
  std::vector<float> multiply(cuda::Gemm& gemm, bool accumulate = false) {
    if (accumulate)
      for (int64_t i = 0; i < c.view.size(); ++i) c.set(i, 0);
    gemm.matmul(c.view, a.view, b.view, transpose_a, false, accumulate);
    return {c.view.as<float>(), c.view.as<float>() + c.view.size()};
  }
};

void test(cuda::Gemm& gemm, Products& products) {
  expect(products.library() == "cuBLASLt 12.4.5", "the library is " + products.library());
  Operands first(6, 5, 50, true), second(5, 7, 33, false);
  const Product key = first.product();

  const std::vector<float> by_default = first.multiply(gemm);
  const std::vector<float> other = second.multiply(gemm);
  first.multiply(gemm, true);
  first.multiply(gemm, true);
  for (const SeenProduct& seen : products.seen()) {
    const bool is_first = !(seen.product < key) && !(key < seen.product);
    expect(seen.writes == 1 && seen.adds == (is_first ? 2 : 0) && !seen.in_table, "the count of a product");
  }
  expect(products.seen().size() == 2, "the number of products");

  // Each algorithm gives its own bits, every time, adding or not; the first is what is used without a table.
  const std::vector<Algorithm> suggested = products.suggested(key);
  expect(suggested.size() == 4, "the number of algorithms");
  std::vector<std::vector<float>> results;
  for (const Algorithm& algorithm : suggested) {
    products.use({{key, algorithm}});
    expect(products.seen().empty(), "products are seen before there are any");
    results.push_back(first.multiply(gemm));
    expect(first.multiply(gemm) == results.back(), "other bits the second time");
    expect(first.multiply(gemm, true) == results.back(), "other bits where the result is added to");
    expect(second.multiply(gemm) == other, "other bits of a product that is not in the table");
    for (const SeenProduct& seen : products.seen())
      expect(seen.in_table == (seen.product.m == key.m), "which product is in the table");
  }
  expect(results[0] == by_default, "the first algorithm is not the default");
  for (size_t i = 0; i < results.size(); ++i)
    for (size_t j = 0; j < i; ++j) expect(results[i] != results[j], "two algorithms with the same bits");

  // A product of the same shape whose operand is less aligned is another one.
  Operands unaligned(6, 5, 50, true, 1);
  products.use({{key, suggested[1]}});
  expect(unaligned.multiply(gemm) == by_default, "the algorithm of a product that is aligned otherwise");

  // A table is refused as a whole, and the one before it stays. In the fake's algorithms, word 4 is the workspace and
  // word 5 the order.
  const auto refuse = [&](const Product& product, const Algorithm& algorithm, const std::string& why) {
    const std::string said = refusal([&] { products.use({{key, suggested[2]}, {product, algorithm}}); });
    const std::string expected = "cuBLASLt 12.4.5 refuses the algorithm of " + cuda::text_of(product) + ": " + why;
    expect(said == expected, "expected \"" + expected + "\" but received \"" + said + "\"");
    expect(first.multiply(gemm) == results[1], "the table after a refusal");
  };
  refuse(second.product(), suggested[1], "invalid value");
  Algorithm unknown = products.suggested(second.product())[0];
  unknown[5] = 99;
  refuse(second.product(), unknown, "not supported");
  Algorithm greedy = products.suggested(second.product())[0];
  greedy[4] = uint64_t(1) << 40;
  refuse(second.product(), greedy,
         "it needs 1099511627776 bytes of workspace, there are " + std::to_string(gemm.workspace_bytes()));

  products.use({});
  expect(first.multiply(gemm) == by_default, "other bits after the table was taken away");
}

}  // namespace

void test_algorithms() {
  const auto gemm = cuda::make_gemm(cuda::Device());
  std::vector<char> workspace(gemm->workspace_bytes());
  gemm->use_workspace(workspace.data());
  test(*gemm, *gemm->products());
}
