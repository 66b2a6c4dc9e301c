/** Faults in the calls of cuBLASLt. */
import { cublaslt, sanitizedCublaslt } from "../checks.js";
import type { Mutant } from "../mutant.js";

const file = "native/cuda/gemm_cublaslt.cpp";
const misaligned = "less aligned than was promised";

export const products: readonly Mutant[] = [
  {
    fault: "A matrix's leading dimension is that of its transpose.",
    file,
    find: "uint64_t(rows), uint64_t(cols), rows)",
    replace: "uint64_t(rows), uint64_t(cols), cols)",
    check: cublaslt,
    says: "leading dimension",
  },
  {
    fault: "A matrix's leading dimension is one too large.",
    file,
    find: "uint64_t(rows), uint64_t(cols), rows)",
    replace: "uint64_t(rows), uint64_t(cols), rows + 1)",
    check: sanitizedCublaslt,
    says: "AddressSanitizer",
  },
  {
    fault: "The operands are swapped, as they would be in a row-major library.",
    file,
    find: "&alpha, b.data, plan.first.value, a.data,\n                                 plan.second.value,",
    replace: "&alpha, a.data, plan.second.value, b.data, plan.first.value,",
    check: cublaslt,
    says: "inner dimensions differ",
  },
  {
    fault: "Which operand is transposed is swapped.",
    file,
    find: "const lt::Operation of_first = p.transpose_b ? lt::kT : lt::kN;",
    replace: "const lt::Operation of_first = p.transpose_a ? lt::kT : lt::kN;",
    check: cublaslt,
    says: "inner dimensions differ",
  },
  {
    fault: "A product is not added to the result but replaces it.",
    file,
    find: "enqueue(plan, c, a, b, c, 1, accumulate ? 1 : 0);",
    replace: "enqueue(plan, c, a, b, c, 1, 0);",
    check: cublaslt,
    says: "element ",
  },
  {
    fault: "cuBLASLt is promised B's alignment for A.",
    file,
    find: "preference.set(lt::kMinAlignmentABytes, product.align_b);",
    replace: "preference.set(lt::kMinAlignmentABytes, product.align_a);",
    check: cublaslt,
    says: misaligned,
  },
  {
    fault: "An algorithm for an aligned result is used for any.",
    file: "native/cuda/product_key.h",
    find: "product.align_c = alignment_of(c.data);",
    replace: "product.align_c = 256;",
    check: cublaslt,
    says: misaligned,
  },
  {
    fault: "All matrices of a stack are expected to be aligned as the first one is.",
    file: "native/cuda/product_key.h",
    find: "return std::min(alignment_of(stack.data), alignment_of(second.data));",
    replace: "return std::max(alignment_of(stack.data), alignment_of(second.data));",
    check: cublaslt,
    says: misaligned,
  },
  {
    fault: "The matrices of a stack lie a row apart.",
    file,
    find: "set(lt::kBatchOffset, rows * cols);",
    replace: "set(lt::kBatchOffset, rows);",
    check: cublaslt,
    says: "element ",
  },
  {
    fault: "A plan is used for sums of another length.",
    file: "native/core/products.h",
    find: "return {m, n, k, transpose_a,",
    replace: "return {m, n, 0, transpose_a,",
    check: cublaslt,
    says: "element ",
  },
  {
    fault: "cuBLASLt has less workspace than the algorithm was chosen for.",
    file,
    find: "workspace_, kWorkspaceBytes, stream_)",
    replace: "workspace_, kWorkspaceBytes / 2, stream_)",
    check: cublaslt,
    says: "less workspace than was promised",
  },
];
