// The operations of kernels.h as JavaScript functions, grouped by family.
#pragma once

#include <vector>

#include "call.h"

namespace nextpatch::binding {

constexpr std::initializer_list<DType> kFloats = {DType::f32, DType::bf16};

// A function of the addon. `run` reads and checks its arguments, then enqueues an operation; `workspace` reads
// dimensions and returns a size in elements. One of the two is set.
struct Operation {
  Operation(const char* name, void (*run)(Call&)) : name(name), run(run) {}
  Operation(const char* name, int64_t (*workspace)(Call&)) : name(name), workspace(workspace) {}

  const char* name;
  void (*run)(Call&) = nullptr;
  int64_t (*workspace)(Call&) = nullptr;
};

const std::vector<Operation>& basic_operations();     // on any numbers: filling, copying, products, sums
const std::vector<Operation>& layers_operations();    // a model's layers, forward and backward
const std::vector<Operation>& training_operations();  // losses, the optimizer, sampling

// On all ranks (core/collectives.h). Not in `signatures`: a call needs a device that has joined.
const std::vector<Operation>& rank_operations();

// Adds every operation to `exports`, and `signatures`, which lists the parameters of each.
void export_operations(Napi::Env env, Napi::Object exports);

}  // namespace nextpatch::binding
