// Products of warpgroups (native/cuda/wgmma.cuh) on the host, by the PTX ISA's layouts of descriptors and registers.
//
// A product's registers are poisoned when it begins and get their values when its threads wait for it. What it reads
// of shared memory it reads when it begins or, in schedules other than forward, when its threads wait: results that
// change with the schedule show that something was written too late or too early.
#include "../cuda/wgmma.cuh"

#include <algorithm>
#include <cstring>
#include <iterator>
#include <limits>
#include <string>
#include <vector>

#include "block.h"
#include "races.h"
#include "runner.h"
#include "wgmma.h"

namespace nextpatch::simt {
namespace {

float value(uint16_t bf16) { return __uint_as_float(uint32_t(bf16) << 16); }

// A matrix in shared memory with 128-byte rows of 64 elements and a swizzle of 128 bytes.
class Matrix {
 public:
  Matrix(const char* what, uint64_t bits)
      : start_(uint32_t(bits & 0x3fff) << 4),
        leading_(uint32_t(bits >> 16 & 0x3fff) << 4),
        stride_(uint32_t(bits >> 32 & 0x3fff) << 4) {
    if (bits >> 62 != 1) fail(std::string(what) + ": expected a descriptor with a swizzle of 128 bytes");
    if (bits >> 49 & 7) fail(std::string(what) + ": expected a descriptor without a base offset");
  }

  // Eight elements from `column`, a multiple of eight, of row `row`. Rows are 128 bytes apart, eight of them `stride`
  // bytes, and panels of 64 columns `leading` bytes.
  void read(int row, int column, float* to) const {
    const uint32_t address = start_ + uint32_t(row / 8) * stride_ + uint32_t(row % 8) * 128 +
                             uint32_t(column / 64) * leading_ + uint32_t(column % 64) * 2;
    const uint32_t swizzled = address ^ ((address >> 7 & 7) << 4);
    const char* const from = current_block().shared + (int64_t(swizzled) - kSharedStart);
    check_shared("wgmma", from, 16, 16);
    note_access(from, 16, Access::read);
    uint16_t elements[8];
    std::memcpy(elements, from, sizeof elements);
    for (int i = 0; i < 8; ++i) to[i] = value(elements[i]);
  }

 private:
  uint32_t start_, leading_, stride_;
};

struct Lane {
  WgmmaCall call;
  float* d;
  const uint32_t* a_registers;
};

// The operands in shared memory: b[16, n], and this warp's a[16, 16] if it is there.
void read_operands(WgmmaProduct* product, int warp_in_group) {
  const WgmmaCall& call = product->call;
  const size_t n = size_t(call.n);
  const Matrix b("wgmma", call.b);
  product->b_values.resize(16 * n);
  float chunk[8];
  for (int row = 0; row < (call.b_by_rows ? 16 : call.n); ++row)
    for (int column = 0; column < (call.b_by_rows ? call.n : 16); column += 8) {
      b.read(row, column, chunk);
      for (int i = 0; i < 8; ++i)
        product
            ->b_values[call.b_by_rows ? size_t(row) * n + size_t(column + i) : size_t(column + i) * n + size_t(row)] =
            chunk[i];
    }
  if (call.a_from_registers) return;
  const Matrix a("wgmma", call.a);
  product->a_values.resize(256);
  for (int row = 0; row < 16; ++row)
    for (int column = 0; column < 16; column += 8)
      a.read(warp_in_group * 16 + row, column, &product->a_values[size_t(row) * 16 + size_t(column)]);
}

void read_registers(WgmmaProduct* product) {
  if (!product->call.a_from_registers) return;
  product->a_values.resize(256);
  for (int lane = 0; lane < 32; ++lane) {
    const int row = lane / 4, col = lane % 4 * 2;
    for (int i = 0; i < 4; ++i) {
      const uint32_t pair = product->a_registers[lane][i];
      float* const to = &product->a_values[size_t(row + i % 2 * 8) * 16 + col + i / 2 * 8];
      to[0] = value(uint16_t(pair));
      to[1] = value(uint16_t(pair >> 16));
    }
  }
}

void multiply(WgmmaProduct* product, int warp_in_group) {
  if (product->b_values.empty()) {
    read_operands(product, warp_in_group);
    read_registers(product);
  }
  const int n = product->call.n;
  for (int lane = 0; lane < 32; ++lane)
    for (int i = 0; i < n / 2; ++i) {
      const int row = lane / 4 + i / 2 % 2 * 8, column = i / 4 * 8 + lane % 4 * 2 + i % 2;
      const float* const a = &product->a_values[size_t(row) * 16];
      float sum = product->call.add ? product->d[lane][i] : 0;
      if (hardware_math()) {
        double products[16];
        for (int k = 0; k < 16; ++k) products[k] = double(a[k]) * double(product->b_values[size_t(k * n + column)]);
        sum = truncated_sum(sum, products, 16);
      } else {
        for (int k = 0; k < 16; ++k) sum += a[k] * product->b_values[size_t(k * n + column)];
      }
      product->d[lane][i] = sum;
    }
}

// All four warps of a group must begin the same products.
void compare_with_group(Warpgroup* group, int warp_in_group, const WgmmaCall& call) {
  size_t& begun = group->begun[warp_in_group];
  if (begun < group->calls.size()) {
    if (!(group->calls[begun] == call)) fail("wgmma: the warps of a warpgroup begin different products");
  } else {
    group->calls.push_back(call);
  }
  ++begun;
}

void begin(Lane* const* lanes, unsigned) {
  Block& block = current_block();
  const int warp_index = block.current->linear / 32, warp_in_group = warp_index % 4;
  Warp& warp = block.warps[size_t(warp_index)];
  const WgmmaCall call = lanes[0]->call;
  for (int lane = 1; lane < 32; ++lane)
    if (!(lanes[lane]->call == call)) fail_in_lane(lane, "begins another wgmma than lane 0");
  if (block.threads.size() % 128 != 0) fail("wgmma: expected a block of whole warpgroups");
  if (block.unfenced > 0) fail("wgmma: what cp.async has brought was not fenced (fence.proxy.async)");
  compare_with_group(&block.warpgroups[size_t(warp_index / 4)], warp_in_group, call);

  WgmmaProduct product;
  product.call = call;
  product.group = warp.wgmma_group;
  bool chained = false;
  for (const WgmmaProduct& pending : warp.wgmmas) chained |= pending.d[0] == lanes[0]->d;
  for (int lane = 0; lane < 32; ++lane) {
    product.d[lane] = lanes[lane]->d;
    product.a_registers[lane] = lanes[lane]->a_registers;
    if (!chained) {
      product.before[lane].assign(lanes[lane]->d, lanes[lane]->d + call.n / 2);
      std::fill_n(lanes[lane]->d, call.n / 2, std::numeric_limits<float>::quiet_NaN());
    }
  }
  if (schedule_order() == Schedule::Order::forward) {
    read_operands(&product, warp_in_group);
    read_registers(&product);
  }
  warp.wgmmas.push_back(std::move(product));
}

struct Wait {
  int groups_left;
};

void finish(Wait* const* lanes, unsigned) {
  Block& block = current_block();
  const int warp_index = block.current->linear / 32;
  Warp& warp = block.warps[size_t(warp_index)];
  auto product = warp.wgmmas.begin();
  for (; product != warp.wgmmas.end(); ++product) {
    if (product->group >= warp.wgmma_group - lanes[0]->groups_left) break;
    for (int lane = 0; lane < 32; ++lane)
      std::copy(product->before[lane].begin(), product->before[lane].end(), product->d[lane]);
    multiply(&*product, warp_index % 4);
    // A later product may go on from these sums, which stay out of sight until it is done.
  }
  std::vector<WgmmaProduct> left(std::make_move_iterator(product), std::make_move_iterator(warp.wgmmas.end()));
  for (WgmmaProduct& later : left) {
    for (auto done = warp.wgmmas.begin(); done != product; ++done) {
      if (done->d[0] != later.d[0] || !later.before[0].empty()) continue;
      for (int lane = 0; lane < 32; ++lane) {
        later.before[lane].assign(later.d[lane], later.d[lane] + later.call.n / 2);
        std::fill_n(later.d[lane], later.call.n / 2, std::numeric_limits<float>::quiet_NaN());
      }
    }
  }
  warp.wgmmas = std::move(left);
}

struct Nothing {};

void commit(Nothing* const*, unsigned) {
  Block& block = current_block();
  ++block.warps[size_t(block.current->linear / 32)].wgmma_group;
}

}  // namespace

bool has_unfinished_wgmmas(const Thread& thread) {
  return !current_block().warps[size_t(thread.linear / 32)].wgmmas.empty();
}

std::string uneven_warpgroup(const Block& block) {
  for (size_t g = 0; g < block.warpgroups.size(); ++g) {
    const Warpgroup& group = block.warpgroups[g];
    for (size_t warp = 0; warp < 4; ++warp) {
      if (group.begun[warp] == group.calls.size()) continue;
      return "warp " + std::to_string(4 * g + warp) + " began " + std::to_string(group.begun[warp]) +
             " wgmma, others of its warpgroup " + std::to_string(group.calls.size());
    }
  }
  return {};
}

}  // namespace nextpatch::simt

namespace nextpatch::cuda {

uint32_t simt_shared_address(const void* pointer) {
  simt::check_shared("a shared address", pointer, 1, 1);
  return uint32_t(static_cast<const char*>(pointer) - simt::current_block().shared) + simt::kSharedStart;
}

void simt_wgmma(float* d, int n, const uint32_t* a_registers, uint64_t a, uint64_t b, bool b_by_rows, bool add) {
  simt::Lane lane{{n, a_registers != nullptr, b_by_rows, add, a, b}, d, a_registers};
  simt::meet<simt::Lane>("wgmma.mma_async", 0xffffffffu, lane, simt::begin);
}

void wgmma_fence() {}

void wgmma_commit() {
  simt::Nothing nothing;
  simt::meet<simt::Nothing>("wgmma.commit_group", 0xffffffffu, nothing, simt::commit);
}

void wgmma_wait_groups(int groups_left) {
  simt::Wait wait{groups_left};
  simt::meet<simt::Wait>("wgmma.wait_group", 0xffffffffu, wait, simt::finish);
}

void fence_shared_for_wgmma() { simt::fence_copies(); }

}  // namespace nextpatch::cuda
