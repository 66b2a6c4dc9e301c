// Matrix products with oneDNN. A primitive is compiled for one shape, so primitives are cached.
//
// If c has many rows, b is first converted to the blocked layout that oneDNN's kernels read. Otherwise the kernels
// rearrange b again for every block of rows, which costs 15 to 20 per cent of the product.
#include <oneapi/dnnl/dnnl.hpp>

#include <cstring>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "../core/error.h"
#include "cpu_kernels.h"
#include "gemv.h"
#include "host_memory.h"
#include "parallel.h"

namespace nextpatch::cpu {
namespace {

dnnl::memory::data_type type_of(DType dtype) {
  return dtype == DType::bf16 ? dnnl::memory::data_type::bf16 : dnnl::memory::data_type::f32;
}

// A row-major matrix, or its transpose, as a [rows, cols] operand; a stack of them if `count` is above 1.
dnnl::memory::desc operand(int64_t count, int64_t rows, int64_t cols, DType dtype, bool transposed) {
  dnnl::memory::dims shape{rows, cols},
      strides = transposed ? dnnl::memory::dims{1, rows} : dnnl::memory::dims{cols, 1};
  if (count > 1) {
    shape.insert(shape.begin(), count);
    strides.insert(strides.begin(), rows * cols);
  }
  return {shape, type_of(dtype), strides};
}

// The key of a cached primitive.
struct Problem {
  int64_t count, m, n, k;  // `count` products, of matrices or of stacks
  DType in, out;
  bool transpose_a, transpose_b;
  float alpha, beta;  // c = alpha * op(a) op(b) + beta * c

  Problem(const View& c, const View& a, bool transpose_a, bool transpose_b, float alpha, float beta)
      : count(c.rank == 3 ? c.dim(0) : 1),
        m(c.dim(-2)),
        n(c.dim(-1)),
        k(a.dim(transpose_a ? -2 : -1)),
        in(a.dtype),
        out(c.dtype),
        transpose_a(transpose_a),
        transpose_b(transpose_b),
        alpha(alpha),
        beta(beta) {}

  bool operator<(const Problem& other) const { return tie() < other.tie(); }
  std::tuple<int64_t, int64_t, int64_t, int64_t, DType, DType, bool, bool, float, float> tie() const {
    return {count, m, n, k, in, out, transpose_a, transpose_b, alpha, beta};
  }

  // Whether converting b to blocks pays: its cost is spread over the rows of c. Measured on Zen 5; oneDNN is slow
  // if the columns do not fill its blocks of 64, and in f32 a transposed `a` dominates the time.
  bool blocks_b() const {
    if (count > 1 || (transpose_a && in == DType::f32)) return false;
    return m >= (n % 64 == 0 ? 256 : 1024);
  }
};

// Converts b to the blocked layout.
struct Blocking {
  dnnl::reorder primitive;
  dnnl::memory blocked;
};

// The memory objects are cached too: for small sizes making them costs as much as the product.
struct Product {
  dnnl::matmul primitive;
  dnnl::memory a, b, c;
  std::optional<Blocking> blocking;
};

// Whether the name of the implementation begins like this.
bool begins(const dnnl::matmul::primitive_desc& description, const char* name) {
  return std::strncmp(description.impl_info_str(), name, std::strlen(name)) == 0;
}

struct Free {
  void operator()(void* data) const { free_memory(data); }
};

[[noreturn]] void out_of_memory(size_t bytes) {
  const MemoryStatus status = memory_status();
  throw Error::out_of_memory("matmul: out of memory: asked for " + std::to_string(bytes) + " bytes, " + status.text(),
                             int64_t(bytes), status.free_bytes);
}

}  // namespace

struct CpuKernels::Products {
  // A model has a few dozen shapes; beyond this many, for a program with ever new shapes, the cache is cleared.
  static constexpr size_t kMost = 512;

  dnnl::engine engine{dnnl::engine::kind::cpu, 0};
  dnnl::stream stream{engine};
  std::map<Problem, Product> made;
#if defined(__aarch64__)
  bool has_bf16 = false;  // its kernels for Arm multiply f32; bf16 ends in its reference implementation
#else
  bool has_bf16 = true;  // until oneDNN reports that it has no bf16 products
#endif
  std::vector<float> wide[3];          // c, a, b in f32 if it has none (below AVX-512)
  std::unique_ptr<void, Free> blocks;  // the blocked b of the running product
  size_t blocks_bytes = 0;

  Product make(const Problem& p) {
    dnnl::post_ops operations;
#if DNNL_VERSION_MAJOR >= 3
    if (p.alpha != 1) operations.append_eltwise(dnnl::algorithm::eltwise_linear, p.alpha, 0);
#else
    if (p.alpha != 1) operations.append_eltwise(1, dnnl::algorithm::eltwise_linear, p.alpha, 0);
#endif
    if (p.beta != 0) operations.append_sum(p.beta);
    dnnl::primitive_attr attributes;
    attributes.set_post_ops(operations);
    const auto a = operand(p.count, p.m, p.k, p.in, p.transpose_a), b = operand(p.count, p.k, p.n, p.in, p.transpose_b);
    const auto c = operand(p.count, p.m, p.n, p.out, false);
    const dnnl::memory::desc any({p.k, p.n}, type_of(p.in), dnnl::memory::format_tag::any);
    const auto& read_b = p.blocks_b() ? any : b;
    const auto describe = [&] {
#if DNNL_VERSION_MAJOR >= 3
      return dnnl::matmul::primitive_desc(engine, a, read_b, c, attributes);
#else
      return dnnl::matmul::primitive_desc({a, read_b, c}, attributes, engine);
#endif
    };
    auto description = describe();
    // With AVX2 alone oneDNN 3 has two kernels for f32, of which the first that it lists is not always the faster:
    // brgemm takes half of gemm's time at best, but more if a is transposed (docs/onednn.md).
    if (p.in == DType::f32 && begins(description, p.transpose_a ? "brg_matmul:avx2" : "gemm:jit")) {
      auto other = describe();
      while (other.next_impl())
        if (begins(other, p.transpose_a ? "gemm:jit" : "brg_matmul:avx2")) {
          description = other;
          break;
        }
    }
    Product product{dnnl::matmul(description), {a, engine, nullptr}, {b, engine, nullptr}, {c, engine, nullptr}, {}};
    if (description.weights_desc() != b) {
      const dnnl::memory blocked(description.weights_desc(), engine, nullptr);
      product.blocking = Blocking{dnnl::reorder(product.b, blocked), blocked};
    }
    return product;
  }

  void* room_for_blocks(size_t bytes) {
    if (bytes > blocks_bytes) {
      blocks.reset();
      blocks_bytes = 0;
      blocks.reset(allocate_memory(bytes));
      if (!blocks) out_of_memory(bytes);
      blocks_bytes = bytes;
    }
    return blocks.get();
  }

  void run(const Problem& p, void* c, void* a, void* b) {
    auto found = made.find(p);
    if (found == made.end()) {
      Product product = make(p);
      if (made.size() >= kMost) made.clear();
      found = made.emplace(p, std::move(product)).first;
    }
    Product& product = found->second;
    product.a.set_data_handle(a);
    product.b.set_data_handle(b);
    product.c.set_data_handle(c);
    if (product.blocking) {
      dnnl::memory& blocked = product.blocking->blocked;
      blocked.set_data_handle(room_for_blocks(blocked.get_desc().get_size()));
      product.blocking->primitive.execute(stream, product.b, blocked);
    }
    const dnnl::memory& read_b = product.blocking ? product.blocking->blocked : product.b;
    product.primitive.execute(stream,
                              {{DNNL_ARG_SRC, product.a}, {DNNL_ARG_WEIGHTS, read_b}, {DNNL_ARG_DST, product.c}});
    stream.wait();
  }

  float* widen(int slot, const View& view, bool read) {
    std::vector<float>& values = wide[slot];
    if (values.size() < size_t(view.size())) values.resize(size_t(view.size()));
    const bf16* from = view.as<bf16>();
    float* to = values.data();
    if (read)
      parallel_blocks(view.size(), [=](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) to[i] = to_float(from[i]);
      });
    return to;
  }

  void run_wide(Problem p, const View& c, const View& a, const View& b) {
    float* result = c.dtype == DType::f32 ? c.as<float>() : widen(0, c, p.beta != 0);
    p.in = p.out = DType::f32;
    run(p, result, widen(1, a, true), widen(2, b, true));
    if (c.dtype == DType::f32) return;
    bf16* to = c.as<bf16>();
    parallel_blocks(c.size(), [=](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) to[i] = to_bf16(result[i]);
    });
  }

  void run_any(const Problem& p, const View& c, const View& a, const View& b) {
    if (p.in == DType::bf16 && has_bf16) {
      try {
        return run(p, c.data, a.data, b.data);
      } catch (const dnnl::error& error) {
        if (error.status != dnnl_unimplemented) throw;
        has_bf16 = false;
      }
    }
    if (p.in == DType::bf16) return run_wide(p, c, a, b);
    run(p, c.data, a.data, b.data);
  }

  void run_checked(const Problem& p, const View& c, const View& a, const View& b) {
    try {
      run_any(p, c, a, b);
    } catch (const dnnl::error& error) {
      // oneDNN ran out of memory. It does not report how much it requested; it needs at most the size of its operands.
      if (error.status == dnnl_out_of_memory)
        out_of_memory(size_t(a.size()) * size_of(a.dtype) + size_t(b.size()) * size_of(b.dtype));
      throw Error(ErrorKind::device, std::string("oneDNN: ") + error.what());
    }
  }
};

CpuKernels::CpuKernels(int threads) : products_(new Products), threads_(threads) {}
CpuKernels::~CpuKernels() { delete products_; }

void CpuKernels::matmul(const View& c, const View& a, const View& b, bool transpose_a, bool transpose_b,
                        bool accumulate) {
  const Problem problem(c, a, transpose_a, transpose_b, 1, accumulate ? 1 : 0);
  if (c.size() == 0) return;
  if (problem.k == 0) {
    if (!accumulate) fill(c, 0);
    return;
  }
  if (problem.m == 1 && transpose_b) return gemv(c, a, b, accumulate);
  products_->run_checked(problem, c, a, b);
}

void CpuKernels::batched_matmul(const View& c, const View& a, const View& b, const View& add, bool transpose_a,
                                bool transpose_b, float alpha, float beta) {
  if (add) copy(c, add);  // oneDNN adds to its result in place
  products_->run_checked(Problem(c, a, transpose_a, transpose_b, alpha, add ? beta : 0), c, a, b);
}

}  // namespace nextpatch::cpu
