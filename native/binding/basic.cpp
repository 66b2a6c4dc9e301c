#include <string>

#include "operations.h"

namespace nextpatch::binding {
namespace {

constexpr double kMax = 1e38;
// The values of i32 that are exact as a float, which a kernel takes.
constexpr double kLeastI32 = -2147483648.0, kMostI32 = 2147483520.0;

void fill(Call& call) {
  const Argument out = call.any_rank("out");
  const bool whole = out.view.dtype == DType::i32;
  const double value = call.number("value", whole ? kLeastI32 : -kMax, whole ? kMostI32 : kMax);
  call.run({out}, [=](Kernels& k) { k.fill(out.view, float(value)); });
}

void copy(Call& call) {
  const Argument out = call.strided("out", 0);
  const Argument in = call.strided("source", 0);
  call.require(out.view.rank == in.view.rank && out.view.shape == in.view.shape, in, "the shape of out");
  if (out.view.dtype == DType::i32 || in.view.dtype == DType::i32) call.same_dtype(in, out);
  call.run({out}, [=](Kernels& k) { k.copy(out.view, in.view); });
}

void normal(Call& call) {
  const Argument out = call.any_rank("out");
  call.dtype(out, {DType::f32});
  const double std = call.number("std", 0, kMax);
  const int64_t seed = call.whole_number("seed", 0, kMaxWholeNumber);
  const int64_t offset = call.whole_number("offset", 0, kMaxWholeNumber);
  call.run({out}, [=](Kernels& k) { k.normal(out.view, float(std), uint64_t(seed), uint64_t(offset)); });
}

void rotary_table(Call& call) {
  const Argument table = call.tensor("table", 3);
  const Argument frequencies = call.vector("inverseFrequencies");
  const double scale = call.number("scale", -kMax, kMax);
  call.dtype(table, {DType::f32});
  call.dtype(frequencies, {DType::f32});
  call.shape(table, {table.dim(0), frequencies.dim(0), 2});
  call.countable(table);
  call.run({table}, [=](Kernels& k) { k.rotary_table(table.view, frequencies.view, float(scale)); });
}

void first_non_finite(Call& call) {
  const Argument out = call.vector("out"), in = call.any_rank("values");
  call.dtype(out, {DType::i32});
  call.dtype(in, kFloats);
  call.shape(out, {1});
  call.require(in.view.size() <= kMaxCount, in, "at most " + std::to_string(kMaxCount) + " elements");
  call.run({out}, [=](Kernels& k) { k.first_non_finite(out.view, in.view); });
}

void matmul(Call& call) {
  const Argument c = call.tensor("c", 2), a = call.tensor("a", 2), b = call.tensor("b", 2);
  const bool transpose_a = call.boolean("transposeA"), transpose_b = call.boolean("transposeB");
  const bool accumulate = call.boolean("accumulate");
  call.dtype(a, kFloats);
  call.same_dtype(b, a);
  if (a.view.dtype == DType::f32) call.same_dtype(c, a);
  call.dtype(c, kFloats);
  const int64_t m = a.dim(transpose_a ? 1 : 0), k = a.dim(transpose_a ? 0 : 1);
  const int64_t n = b.dim(transpose_b ? 0 : 1);
  if (transpose_b) {
    call.shape(b, {n, k});
  } else {
    call.shape(b, {k, n});
  }
  call.shape(c, {m, n});
  call.run({c},
           [=](Kernels& kernels) { kernels.matmul(c.view, a.view, b.view, transpose_a, transpose_b, accumulate); });
}

void batched_matmul(Call& call) {
  const Argument c = call.tensor("c", 3), a = call.tensor("a", 3), b = call.tensor("b", 3);
  const Argument add = call.optional("add", 3);
  const bool transpose_a = call.boolean("transposeA"), transpose_b = call.boolean("transposeB");
  const double alpha = call.number("alpha", -kMax, kMax), beta = call.number("beta", -kMax, kMax);
  call.dtype(c, kFloats);
  for (const Argument& other : {a, b, add}) call.same_dtype(other, c);
  const int64_t m = a.dim(transpose_a ? 2 : 1), k = a.dim(transpose_a ? 1 : 2), n = b.dim(transpose_b ? 1 : 2);
  if (transpose_b) {
    call.shape(b, {a.dim(0), n, k});
  } else {
    call.shape(b, {a.dim(0), k, n});
  }
  for (const Argument& other : {c, add}) call.shape(other, {a.dim(0), m, n});
  call.run({c}, [=](Kernels& kernels) {
    kernels.batched_matmul(c.view, a.view, b.view, add.view, transpose_a, transpose_b, float(alpha), float(beta));
  });
}

void sum(Call& call) {
  const Argument out = call.vector("out"), in = call.any_rank("values");
  const bool accumulate = call.boolean("accumulate");
  call.dtype(out, {DType::f32});
  call.dtype(in, {DType::f32});
  call.shape(out, {1});
  call.run({out}, [=](Kernels& k) { k.sum(out.view, in.view, accumulate); });
}

}  // namespace

const std::vector<Operation>& basic_operations() {
  static const std::vector<Operation> operations{
      {"fill", fill},
      {"copy", copy},
      {"normal", normal},
      {"rotaryTable", rotary_table},
      {"firstNonFinite", first_non_finite},
      {"matmul", matmul},
      {"batchedMatmul", batched_matmul},
      {"sum", sum},
  };
  return operations;
}

}  // namespace nextpatch::binding
